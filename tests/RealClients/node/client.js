'use strict';
// A coordinator as Node's own gRPC client sees it.

const path = require('node:path');
const grpc = require('@grpc/grpc-js');
const protoLoader = require('@grpc/proto-loader');

const root = path.resolve(__dirname, '..', '..', '..');
const options = { keepCase: true, longs: Number, enums: String, defaults: true, oneofs: true };

function load(folder, file) {
  return grpc.loadPackageDefinition(protoLoader.loadSync(file, { ...options, includeDirs: [folder] }));
}

/** Clients for the services at `address` (host:port). */
function connect(address) {
  const credentials = grpc.credentials.createInsecure();
  const wire = load(path.join(root, 'src', 'Protocol', 'Wire'), 'inference.proto');
  const standard = load(path.join(root, 'tests', 'RealClients', 'protos'), 'grpc/health/v1/health.proto');
  return {
    inference: new wire.tensorparallel.v1.Inference(address, credentials),
    health: new standard.grpc.health.v1.Health(address, credentials),
  };
}

/** A unary call as a promise. */
function unary(client, method, request) {
  return new Promise((resolve, reject) => {
    client[method](request, (error, response) => (error ? reject(error) : resolve(response)));
  });
}

/**
 * Reads a stream. `onMessage(message, call, messages)` may cancel it. Resolves to the messages and the error that ended the
 * stream; null when it ended by itself.
 */
function read(call, onMessage = () => {}) {
  return new Promise((resolve) => {
    const messages = [];
    call.on('data', (message) => {
      messages.push(message);
      onMessage(message, call, messages);
    });
    call.on('error', (error) => resolve({ messages, error }));
    call.on('end', () => resolve({ messages, error: null }));
  });
}

module.exports = { connect, unary, read, grpc };
