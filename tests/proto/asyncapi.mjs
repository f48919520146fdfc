// SPDX-License-Identifier: Apache-2.0
// AsyncAPI's own parser about a document: node asyncapi.mjs FOLDER-ABOVE-NODE_MODULES FILE
// An error or a warning is a failure. What the document refers to lies beside it; nothing is fetched.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { resolve } from 'node:path';

const [tools, file] = process.argv.slice(2).map((path) => resolve(path));
const { Parser } = createRequire(`${tools}/`)('@asyncapi/parser');
const WARNING = 1; // 0 is an error, more is advice

const { document, diagnostics } = await new Parser().parse(readFileSync(file, 'utf8'), { source: file });
const findings = diagnostics.filter(({ severity }) => severity <= WARNING);
for (const { code, message, path, range } of findings) {
	console.log(`FAILED ${process.argv[3]}:${range.start.line + 1}: ${code}: ${message} (${path.join('.')})`);
}
if (findings.length === 0 && (document === undefined || document.messages().all().length === 0)) {
	findings.push('nothing');
	console.log(`FAILED ${process.argv[3]}: the parser found no message in it`);
}
console.log(`${findings.length === 0 ? 1 : 0} passed, ${findings.length} failed`);
