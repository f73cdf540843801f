#!/usr/bin/env bash
# Asks the registries for the digest of every image of this overlay, and writes ./digests. Needs skopeo, and kustomize
# or kubectl. Run it again after every change of a tag.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
build() {
  if command -v kustomize > /dev/null; then kustomize build "$here"; else kubectl kustomize "$here"; fi
}
partial=$(mktemp "$here/digests/.partial-XXXXXX")
before=$(mktemp)
cp "$here/digests/kustomization.yaml" "$before"
written=
leave() { # what fails leaves the digests of the last run
  if [ -z "$written" ]; then cp "$before" "$here/digests/kustomization.yaml"; fi
  rm -f "$partial" "$before"
}
trap leave EXIT

# The tags, not the digests of the last run.
printf 'apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\nimages: []\n' > "$partial"
cp "$partial" "$here/digests/kustomization.yaml"
images=$(build | sed -n 's/^ *\(- \)\{0,1\}image: *//p' | tr -d '"' | sort -u)
{
  echo "# Written by ../pin-digests.sh."
  echo "apiVersion: kustomize.config.k8s.io/v1alpha1"
  echo "kind: Component"
  echo "images:"
  for image in $images; do
    digest=$(skopeo inspect --format '{{.Digest}}' "docker://$image")
    case $digest in
      sha256:????????????????????????????????????????????????????????????????) ;;
      *) echo "no digest for $image: $digest" >&2; exit 1 ;;
    esac
    echo "- {name: ${image%:*}, newTag: \"${image##*:}\", digest: \"$digest\"}"
    echo "$image $digest" >&2
  done
} > "$partial"
mv "$partial" "$here/digests/kustomization.yaml"
written=1
