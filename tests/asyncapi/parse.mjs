// Parses AsyncAPI documents with the parser of the AsyncAPI project: node parse.mjs FILE...
import { Parser, fromFile } from '@asyncapi/parser';

let wrong = 0;
for (const file of process.argv.slice(2)) {
  const { document, diagnostics } = await fromFile(new Parser(), file).parse();
  // 0 is an error, 1 a warning; below are hints about style.
  const faults = diagnostics.filter((one) => one.severity <= 1);
  for (const one of faults.slice(0, 20)) console.error(`${file}: ${one.path.join('.')}: ${one.message}`);
  if (document && !faults.length) console.log(`${file}: ${document.messages().length} messages`);
  else wrong += 1;
}
process.exit(wrong ? 1 : 0);
