'use strict';
// node main.js HOST:PORT: checks a running coordinator that nobody else is using.

const assert = require('node:assert/strict');
const reflection = require('grpc-reflection-js');
const { check, runChecks, until } = require('./checks');
const { connect, unary, read, grpc } = require('./client');

const SERVICE = 'tensorparallel.v1.Inference';
const address = process.argv[2];
assert.ok(address, 'usage: node main.js HOST:PORT');
const { inference, health } = connect(address);

const ids = (...values) => ({ ids: values });
const stats = () => unary(inference, 'GetStats', {});
const idle = () => until('nothing to run', async () => {
  const { running, waiting } = await stats();
  return running === 0 && waiting === 0;
});

/** A generation that lasts as long as the context allows. */
async function longRequest() {
  const { max_context_tokens } = await unary(inference, 'GetModelInfo', {});
  return { prompt_ids: ids(1, 2, 3), max_new_tokens: max_context_tokens - 3, ignore_eos: true };
}

async function fails(request, code, text) {
  const { messages, error } = await read(inference.Generate(request));
  assert.equal(messages.length, 0);
  assert.equal(error?.code, code, `${error}`);
  assert.ok(error.details.includes(text), error.details);
}

check('a generation starts, streams and finishes', async () => {
  const request = { prompt_ids: ids(5, 6, 7), max_new_tokens: 16, ignore_eos: true, temperature: 0.8, seed: 42 };
  const { messages, error } = await read(inference.Generate(request));
  assert.equal(error, null);
  assert.deepEqual(messages[0].started, { prompt_ids: [5, 6, 7], seed: 42 });
  assert.deepEqual(messages.slice(1, -1).map((m) => m.event), Array(16).fill('token'));
  const { finished } = messages.at(-1);
  assert.equal(finished.reason, 'FINISH_REASON_LENGTH');
  assert.equal(finished.generated_tokens, 16);
  const again = await read(inference.Generate(request));
  assert.deepEqual(again.messages.slice(1, -1), messages.slice(1, -1));
});

check('the streamed text is the text of the ids', async () => {
  const { has_tokenizer } = await unary(inference, 'GetModelInfo', {});
  if (!has_tokenizer) {
    return;
  }
  const { messages } = await read(inference.Generate({ prompt: 'In the beginning', max_new_tokens: 24, ignore_eos: true }));
  const tokenized = await unary(inference, 'Tokenize', { text: 'In the beginning' });
  assert.deepEqual(messages[0].started.prompt_ids, tokenized.ids);
  const tokens = messages.slice(1, -1).map((m) => m.token);
  const { text } = await unary(inference, 'Detokenize', { ids: tokens.map((t) => t.id) });
  assert.equal(tokens.map((t) => t.text).join('') + messages.at(-1).finished.text, text);
});

check('log-probabilities are reported, best first', async () => {
  const { messages } = await read(inference.Generate({ prompt_ids: ids(5), max_new_tokens: 3, ignore_eos: true, logprobs: 4 }));
  for (const { token } of messages.slice(1, -1)) {
    assert.equal(token.top_logprobs.length, 4);
    const values = token.top_logprobs.map((top) => top.logprob);
    assert.deepEqual(values, [...values].sort((a, b) => b - a));
    assert.ok(token.logprob <= 0);
  }
});

check('32 generations at a time share a connection', async () => {
  const request = (i) => ({ prompt_ids: ids(10 + i, 11, 12), max_new_tokens: 8, ignore_eos: true });
  const all = await Promise.all(Array.from({ length: 32 }, (_, i) => read(inference.Generate(request(i)))));
  all.forEach(({ messages, error }, i) => {
    assert.equal(error, null);
    assert.equal(messages[0].started.prompt_ids[0], 10 + i);
    assert.equal(messages.at(-1).finished.generated_tokens, 8);
  });
});

check('a cancelled generation is no longer computed', async () => {
  await idle();
  const before = await stats();
  const request = await longRequest();
  const { messages, error } = await read(inference.Generate(request), (_, call, seen) => {
    if (seen.length === 6) {
      call.cancel();
    }
  });
  assert.equal(error.code, grpc.status.CANCELLED);
  assert.ok(messages.length < request.max_new_tokens);
  await idle();
  const after = await stats();
  assert.ok(after.generated_tokens - before.generated_tokens < request.max_new_tokens / 2, 'it was computed to its end');
  await new Promise((resolve) => setTimeout(resolve, 300));
  const later = await stats();
  assert.ok(later.steps - after.steps <= 2, `${later.steps - after.steps} steps were computed after the end`);
  assert.equal(later.generated_tokens, after.generated_tokens);
});

check('a deadline ends call and computation', async () => {
  const before = await stats();
  const request = await longRequest();
  const { error } = await read(inference.Generate(request, { deadline: Date.now() + 150 }));
  assert.equal(error.code, grpc.status.DEADLINE_EXCEEDED);
  await idle();
  const { generated_tokens } = await stats();
  assert.ok(generated_tokens - before.generated_tokens < request.max_new_tokens, 'it was computed to its end');
});

check('bad requests are refused with a sentence', async () => {
  const { INVALID_ARGUMENT, UNIMPLEMENTED } = grpc.status;
  const { vocabulary_size, max_context_tokens } = await unary(inference, 'GetModelInfo', {});
  await fails({ prompt_ids: ids(1), temperature: -1 }, INVALID_ARGUMENT, 'temperature is -1');
  await fails({ prompt_ids: ids(vocabulary_size) }, INVALID_ARGUMENT, `0 to ${vocabulary_size - 1}`);
  await fails({ prompt_ids: ids(...Array(max_context_tokens).fill(1)) }, INVALID_ARGUMENT, `${max_context_tokens} tokens`);
  await fails({}, INVALID_ARGUMENT, 'prompt');
  const echo = (value) => value;
  const unknown = await new Promise((resolve) => {
    inference.makeUnaryRequest(`/${SERVICE}/Nothing`, echo, echo, Buffer.alloc(0), resolve);
  });
  assert.equal(unknown.code, UNIMPLEMENTED);
});

check('a model is chosen by its name, and an unknown one is not found', async () => {
  const { name } = await unary(inference, 'GetModelInfo', {});
  const { messages, error } = await read(inference.Generate({ prompt_ids: ids(5, 6), max_new_tokens: 4, ignore_eos: true, model: name }));
  assert.equal(error, null);
  assert.equal(messages.at(-1).finished.generated_tokens, 4);
  assert.equal((await unary(health, 'Check', { service: `${SERVICE}/${name}` })).status, 'SERVING');
  await fails({ prompt_ids: ids(5), model: 'nobody' }, grpc.status.NOT_FOUND, `there is ${name}`);
  await assert.rejects(unary(inference, 'GetStats', { model: 'nobody' }), { code: grpc.status.NOT_FOUND });
});

check('health is serving, checked and watched', async () => {
  for (const service of ['', SERVICE]) {
    assert.equal((await unary(health, 'Check', { service })).status, 'SERVING');
    const { messages } = await read(health.Watch({ service }), (_, call) => call.cancel());
    assert.equal(messages[0].status, 'SERVING');
  }
  await assert.rejects(unary(health, 'Check', { service: 'nobody' }), { code: grpc.status.NOT_FOUND });
});

check('reflection describes the service', async () => {
  const client = new reflection.Client(address, grpc.credentials.createInsecure());
  const services = await client.listServices();
  assert.ok(services.includes(SERVICE) && services.includes('grpc.health.v1.Health'), `${services}`);
  const described = (await client.fileContainingSymbol(SERVICE)).lookupService(SERVICE);
  assert.ok(described.methods.Generate.responseStream);
  client.grpcClient.close();
});

runChecks('node').then((failed) => {
  inference.close();
  health.close();
  process.exitCode = failed ? 1 : 0;
});
