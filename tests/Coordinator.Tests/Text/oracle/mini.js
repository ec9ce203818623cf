'use strict';

/**
 * A small tokenizer.json in the manner of Llama 2 (spaces as U+2581, byte fallback), trained here on one paragraph, so
 * that the tests that need no download cover that family too.
 */
const paragraph = `
Once there was a small lamp that stood in the window of a house by the sea. Every evening the old keeper lit the lamp, and
every evening the fishing boats came home by its light. One night the wind was strong and the keeper was ill. "Who will
light the lamp?" said the cat. "I will," said the girl from the next house, and she took the matches and went up the
stairs, one, two, three, until she reached the top. The boats came home that night, too; nobody was lost. In the morning
the keeper thanked the girl, and the cat thanked the girl, and from then on there were two keepers in the house by the sea.`;

function mini(mergeCount) {
  const words = paragraph.trim().split(/\s+/).map((word) => ['▁', ...word]);
  const vocab = ['<unk>', '<s>', '</s>'];
  for (let b = 0; b < 256; b++) vocab.push(`<0x${b.toString(16).toUpperCase().padStart(2, '0')}>`);
  vocab.push(...new Set(words.flat().concat(' ')), '▁▁');
  const merges = [['▁', '▁']];
  while (merges.length < mergeCount) {
    const counts = new Map();
    for (const word of words) for (let i = 0; i + 1 < word.length; i++) counts.set(`${word[i]} ${word[i + 1]}`, (counts.get(`${word[i]} ${word[i + 1]}`) ?? 0) + 1);
    const [[pair, count]] = [...counts].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1));
    if (count < 2) break;
    const [left, right] = pair.split(' ');
    merges.push([left, right]);
    vocab.push(left + right);
    for (const word of words) for (let i = 0; i + 1 < word.length; i++) if (word[i] === left && word[i + 1] === right) word.splice(i, 2, left + right);
  }
  return {
    version: '1.0', truncation: null, padding: null,
    added_tokens: [0, 1, 2].map((id) => ({ id, content: vocab[id], single_word: false, lstrip: false, rstrip: false, normalized: false, special: true })),
    normalizer: { type: 'Sequence', normalizers: [{ type: 'Prepend', prepend: '▁' }, { type: 'Replace', pattern: { String: ' ' }, content: '▁' }] },
    pre_tokenizer: null,
    post_processor: {
      type: 'TemplateProcessing', single: [{ SpecialToken: { id: '<s>', type_id: 0 } }, { Sequence: { id: 'A', type_id: 0 } }],
      pair: [{ Sequence: { id: 'A', type_id: 0 } }, { Sequence: { id: 'B', type_id: 1 } }],
      special_tokens: { '<s>': { id: '<s>', ids: [1], tokens: ['<s>'] } },
    },
    decoder: { type: 'Sequence', decoders: [{ type: 'Replace', pattern: { String: '▁' }, content: ' ' }, { type: 'ByteFallback' }, { type: 'Fuse' }, { type: 'Strip', content: ' ', start: 1, stop: 0 }] },
    model: { type: 'BPE', dropout: null, unk_token: '<unk>', continuing_subword_prefix: null, end_of_word_suffix: null, fuse_unk: true, byte_fallback: true, vocab: Object.fromEntries([...new Set(vocab)].map((token, id) => [token, id])), merges },
  };
}

module.exports = { mini };
