'use strict';

// Settings that the real files do not use, made by editing one of them. Each function changes the parsed tokenizer.json.

const byteLevel = (more) => ({ type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: false, ...more });
const split = (pattern, behavior, invert) => ({ type: 'Split', pattern, behavior, invert });
const added = (json, content, more) => json.added_tokens.push({
  id: json.nextId++, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special: false, ...more,
});

/** Edits of a byte-level vocabulary. */
const ofByteLevel = {
  gpt2: (j) => { j.pre_tokenizer = byteLevel({ add_prefix_space: true, use_regex: true }); j.post_processor = byteLevel(); },
  normalizers: (j) => {
    j.normalizer = { type: 'Sequence', normalizers: [{ type: 'NFKD' }, { type: 'Lowercase' }, { type: 'Replace', pattern: { Regex: 'o+' }, content: '0' }, { type: 'Strip', strip_left: true, strip_right: true }] };
  },
  lowercase: (j) => { j.normalizer = { type: 'Lowercase' }; },
  nfkc: (j) => { j.normalizer = { type: 'NFKC' }; },
  nfd: (j) => { j.normalizer = { type: 'NFD' }; },
  digits: (j) => { j.pre_tokenizer = { type: 'Sequence', pretokenizers: [{ type: 'Digits', individual_digits: true }, byteLevel({ use_regex: true })] }; },
  digitRuns: (j) => { j.pre_tokenizer = { type: 'Sequence', pretokenizers: [{ type: 'Digits', individual_digits: false }, byteLevel()] }; },
  addedTokens: (j) => {
    added(j, 'beginning');
    added(j, '<left>', { lstrip: true });
    added(j, '<right>', { rstrip: true, special: true });
    added(j, '<both>', { lstrip: true, rstrip: true });
    added(j, 'end', { single_word: true });
    added(j, 'the', { normalized: true });
    added(j, 'ABC', { normalized: true, single_word: true, lstrip: true });
    added(j, 'XYZ', { normalized: true, special: true });
    j.nextId += 50;
    added(j, '<gap>', { special: true });
    added(j, '<both>', { lstrip: false, rstrip: true });
    j.normalizer = { type: 'Lowercase' };
  },
  template: (j) => {
    j.post_processor = { type: 'Sequence', processors: [byteLevel(), {
      type: 'TemplateProcessing',
      single: [{ SpecialToken: { id: 'open', type_id: 0 } }, { Sequence: { id: 'A', type_id: 0 } }, { SpecialToken: { id: 'close', type_id: 0 } }],
      pair: [{ Sequence: { id: 'A', type_id: 0 } }, { Sequence: { id: 'B', type_id: 1 } }],
      special_tokens: { open: { id: 'open', ids: [0, 2], tokens: ['x', 'y'] }, close: { id: 'close', ids: [1], tokens: ['z'] } },
    }] };
  },
};
for (const behavior of ['Removed', 'Isolated', 'MergedWithPrevious', 'MergedWithNext', 'Contiguous']) {
  for (const invert of [false, true]) {
    ofByteLevel[`split${behavior}${invert ? 'Inverted' : ''}`] = (j) => {
      j.pre_tokenizer = { type: 'Sequence', pretokenizers: [split({ Regex: '\\p{L}+|\\d' }, behavior, invert), byteLevel()] };
    };
  }
  ofByteLevel[`splitString${behavior}`] = (j) => {
    j.pre_tokenizer = { type: 'Sequence', pretokenizers: [split({ String: ' ' }, behavior, false), byteLevel()] };
  };
}

/** Edits of a vocabulary of pieces with U+2581 for the space and byte fallback. */
const ofPieces = { noFallback: (j) => { j.model.byte_fallback = false; }, noFallbackNoFuse: (j) => { j.model.byte_fallback = false; j.model.fuse_unk = false; } };
for (const scheme of ['first', 'always', 'never']) {
  for (const cut of [false, true]) {
    ofPieces[`metaspace_${scheme}_${cut ? 'split' : 'whole'}`] = (j) => {
      j.normalizer = null;
      j.pre_tokenizer = { type: 'Metaspace', replacement: '▁', prepend_scheme: scheme, split: cut };
      j.decoder = cut
        ? { type: 'Metaspace', replacement: '▁', prepend_scheme: scheme, split: cut }
        : { type: 'Sequence', decoders: [{ type: 'ByteFallback' }, { type: 'Metaspace', replacement: '▁', prepend_scheme: scheme, split: cut }] };
    };
  }
}
ofPieces.decoderStrip = (j) => { j.decoder = { type: 'Sequence', decoders: [{ type: 'Fuse' }, { type: 'Replace', pattern: { Regex: '▁+' }, content: '_' }, { type: 'Strip', content: '_', start: 2, stop: 0 }] }; };
ofPieces.decoderNone = (j) => { j.decoder = null; };

module.exports = { ofByteLevel, ofPieces };
