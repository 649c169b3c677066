// A charger made of ocpp-ts, which leaves redialling to its user; see the README.
'use strict';
const { OcppClient } = require('ocpp-ts');
const { COMMANDS, answer, serve, tell } = require('./lines');

const [endpoint, identity] = process.argv.slice(2);
const client = new OcppClient(identity);
for (const action of COMMANDS) {
  client.on(action, (request, respond) => respond(answer(action, request)));
}
const dial = () => client.connect(`${endpoint}/`);
client.on('connect', () => tell({ up: true }));
client.on('error', (error) => console.error(error.message));
client.on('close', () => setTimeout(dial, 200));
dial();
serve((action, payload) => client.callRequest(action, payload), () => {});
