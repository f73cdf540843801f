#!/usr/bin/env bash
# A record of Argilla written as JSON does not say which of its responses were submitted and which are drafts.
#
# argilla 2.8.0 (https://github.com/argilla-io/argilla), Record.to_dict, which the JSON export of a data set is made of.
# A response has a state: draft, submitted or discarded. The nested form keeps value and user only, so that a draft and a
# discarded answer look like labels. The flattened form has the state in columns of its own. Read back, a draft of the
# nested form has no state either.
source "$(dirname "$0")/lib.sh"
environment argilla==2.8.0 requests
program_prints "keys of a response, nested: ['user_id', 'value']
states, flattened: ['submitted', 'draft', 'discarded']
states, read back from the nested form: [None, None, None]" <<'PYTHON'
import uuid

import argilla as rg
from argilla.records._io import GenericIO

STATES = ("submitted", "draft", "discarded")
users = [uuid.UUID(int=number) for number in range(len(STATES))]
responses = [
    rg.Response("team", label, user_id=user, status=state)
    for label, user, state in zip(("billing", "technical", "technical"), users, STATES, strict=True)
]
record = rg.Record(id="1", fields={"text": "the invoice is wrong"}, responses=responses)
nested = record.to_dict()
print("> keys of a response, nested:", sorted({key for one in nested["responses"]["team"] for key in one}))
(flat,) = GenericIO.to_list([record], flatten=True)
print("> states, flattened:", flat["team.responses.status"])
back = rg.Record.from_dict(nested)
print("> states, read back from the nested form:", [one.status for one in back.responses])
PYTHON
