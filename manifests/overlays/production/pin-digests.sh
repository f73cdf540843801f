#!/usr/bin/env bash
# Asks the registries for the digest of every image of this overlay, and of those that the pods of runs use, and writes
# ./digests: the registrar compiles the pipelines with them. Needs skopeo, and kustomize or kubectl. Run it again after
# every change of a tag. For `activelora submit` and `schedule` from here: set -a; . digests/images.env
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
build() {
  if command -v kustomize > /dev/null; then kustomize build "$here"; else kubectl kustomize "$here"; fi
}
partial=$(mktemp "$here/digests/.partial-XXXXXX")
environment=$(mktemp "$here/digests/.partial-XXXXXX")
before=$(mktemp)
cp "$here/digests/kustomization.yaml" "$before"
written=
leave() { # what fails leaves the digests of the last run
  if [ -z "$written" ]; then cp "$before" "$here/digests/kustomization.yaml"; fi
  rm -f "$partial" "$environment" "$before"
}
trap leave EXIT

# The tags, not the digests of the last run.
printf 'apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\nimages: []\n' > "$partial"
cp "$partial" "$here/digests/kustomization.yaml"
images=$(build | sed -n 's/^ *\(- \)\{0,1\}image: *//p' | tr -d '"' | sort -u)
cpu=$(echo "$images" | grep '/activelora-cpu:')
gpu=${cpu/activelora-cpu:/activelora-gpu:} # no workload of the overlay runs it, only the pods of runs
{
  echo "# Written by ../pin-digests.sh."
  echo "apiVersion: kustomize.config.k8s.io/v1alpha1"
  echo "kind: Component"
  echo "configMapGenerator:"
  echo "- {name: activelora-images, namespace: kubeflow, envs: [images.env]}"
  echo "images:"
  for image in $(printf '%s\n' "$images" "$gpu" | sort -u); do
    digest=$(skopeo inspect --format '{{.Digest}}' "docker://$image")
    case $digest in
      sha256:????????????????????????????????????????????????????????????????) ;;
      *) echo "no digest for $image: $digest" >&2; exit 1 ;;
    esac
    echo "- {name: ${image%:*}, newTag: \"${image##*:}\", digest: \"$digest\"}"
    echo "$image $digest" >&2
    case $image in
      "$cpu") echo "ACTIVELORA_CPU_IMAGE=$image@$digest" >> "$environment" ;;
      "$gpu") echo "ACTIVELORA_GPU_IMAGE=$image@$digest" >> "$environment" ;;
    esac
  done
} > "$partial"
chmod 644 "$partial" "$environment"
mv "$environment" "$here/digests/images.env"
mv "$partial" "$here/digests/kustomization.yaml"
written=1
