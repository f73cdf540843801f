#!/usr/bin/env bash
# The text that a chat template makes, tokenised as any text, begins with two BOS tokens.
#
# transformers 5.24.0 (https://github.com/huggingface/transformers), tokenizers 0.23.3, PreTrainedTokenizerFast.
# Many chat templates write the BOS token, as here; the tokenizer's own post-processor adds one to every text. Templating
# and tokenising in one call gives one BOS; templating to text and tokenising that, which examples do, gives two. Neither
# says a word, and models have seen one only in training.
source "$(dirname "$0")/lib.sh"
environment transformers==5.24.0 tokenizers==0.23.3 jinja2==3.1.6
program_prints "in one call:  [0, 3, 5, 4]
in two calls: [0, 0, 3, 5, 4]
in two calls, without special tokens: [0, 3, 5, 4]" <<'PYTHON'
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

words = {"<s>": 0, "</s>": 1, "<unk>": 2, "user": 3, "hello": 4, ":": 5}
inner = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
inner.pre_tokenizer = pre_tokenizers.Whitespace()
inner.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, bos_token="<s>", eos_token="</s>", unk_token="<unk>")
tokenizer.chat_template = "{{ bos_token }}{% for message in messages %}{{ message.role }}: {{ message.content }}{% endfor %}"
messages = [{"role": "user", "content": "hello"}]
text = tokenizer.apply_chat_template(messages, tokenize=False)
print("> in one call: ", tokenizer.apply_chat_template(messages, tokenize=True).input_ids)
print("> in two calls:", tokenizer(text).input_ids)
print("> in two calls, without special tokens:", tokenizer(text, add_special_tokens=False).input_ids)
PYTHON
