'use strict';

const { random } = require('./strings');

/**
 * Lines for a cases.jsonl: {text, ids, plain, decoded, skipped} (ids with and plain without special tokens; ids decoded
 * with and without them), then {ids, decoded, skipped} for random sequences of ids that no text gave.
 */
async function casesOf(tokenizer, texts, idSequences, seed) {
  const cases = [];
  const decode = async (ids) => ({ decoded: await tokenizer.decode(ids, false), skipped: await tokenizer.decode(ids, true) });
  for (const text of texts) {
    const ids = (await tokenizer.encode(text)).getIds();
    const plain = (await tokenizer.encode(text, null, { addSpecialTokens: false })).getIds();
    cases.push({ text, ids, plain, ...(await decode(ids)) });
  }
  const rng = random(seed + 1);
  const known = Object.values(tokenizer.getVocab(true)).sort((a, b) => a - b);
  for (let i = 0; i < idSequences; i++) {
    // Low ids more often: those are bytes and special tokens.
    const ids = Array.from({ length: 1 + rng.below(24) }, () => (rng.below(3) ? rng.pick(known) : rng.pick(known.slice(0, 400))));
    cases.push({ ids, ...(await decode(ids)) });
  }
  return cases;
}

const lines = (cases) => cases.map((c) => JSON.stringify(c)).join('\n') + '\n';

/** The parsed tokenizer.json with an edit of variants.js applied. */
function edited(json, edit) {
  const copy = structuredClone(json);
  copy.nextId = 1 + Math.max(...Object.values(copy.model.vocab), ...copy.added_tokens.map((t) => t.id));
  edit(copy);
  delete copy.nextId;
  return copy;
}

module.exports = { casesOf, lines, edited };
