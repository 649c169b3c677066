// A charger made of ocpp-rpc, which redials by itself and judges payloads (strictMode); see the README.
'use strict';
const { readFileSync } = require('node:fs');
const { RPCClient } = require('ocpp-rpc');
const { answer, serve, tell } = require('./lines');

const [endpoint, identity, version, password, ca, cert, key] = process.argv.slice(2);
const file = (name) => (name ? readFileSync(name) : undefined);
const client = new RPCClient({
  endpoint, identity, protocols: [`ocpp${version}`], callTimeoutMs: 20000,
  password: password || null, wsOpts: { ca: file(ca), cert: file(cert), key: file(key) },
  strictMode: version !== '2.1', // its schemas of 2.1 have ids that its validator does not find
  backoff: { initialDelay: 200, maxDelay: 500, factor: 2, randomisationFactor: 0 },
});
client.handle(({ method, params }) => answer(method, params));
client.on('open', () => tell({ up: true }));
client.on('strictValidationFailure', ({ error }) => tell({ error: `invalid: ${error.message}` }));
client.connect();
serve((action, payload) => client.call(action, payload), () => client.close());
