// What both Node drivers share: JSON lines on stdin and stdout, and the answers to commands.
'use strict';
const readline = require('readline');

const ACCEPTED = ['ChangeConfiguration', 'RemoteStartTransaction', 'RequestStartTransaction', 'Reset'];

exports.tell = (line) => process.stdout.write(JSON.stringify(line) + '\n');

exports.COMMANDS = [...ACCEPTED, 'SetVariables'];

// The response payload to a command.
exports.answer = (action, request) => {
  exports.tell({ command: action });
  if (action !== 'SetVariables') return { status: 'Accepted' };
  return {
    setVariableResult: request.setVariableData.map(({ component, variable }) => ({
      attributeStatus: 'Accepted', component, variable,
    })),
  };
};

// Make the calls that stdin asks for, one after the other; then `close`.
exports.serve = async (call, close) => {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const wanted = JSON.parse(line);
    try {
      exports.tell({ answer: await call(wanted.call, wanted.payload) });
    } catch (error) {
      exports.tell({ error: `${error.name}: ${error.message}` });
    }
  }
  await close();
  process.exit(0);
};
