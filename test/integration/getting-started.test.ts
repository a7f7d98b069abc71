/**
 * Runs docs/getting-started.md line by line: the output of every `sh` block is compared with the `text` block after it,
 * in which a line `...` means any lines. Also compares the first lines of README.md with the output of the demo.
 */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { patternOf, stepsOf } from '../support/documents.ts';
import { folderOf } from '../support/pharos.ts';
import { defaultAddresses, has, ROOT, start } from '../support/process.ts';

test.skipIf(!has('dig') || !has('curl'))('docs/getting-started.md works as written', async () => {
  await using _addresses = await defaultAddresses();
  const steps = stepsOf(readFileSync(`${ROOT}docs/getting-started.md`, 'utf8'));
  expect(steps.length).toBeGreaterThan(8);
  using folder = folderOf({});
  const mark = 'this step is done';
  // One shell for all blocks, as a reader has; the first block is for readers in a checkout.
  const lines = steps.flatMap(({ script }, index) => [
    index === 0 ? `cd '${ROOT}'\n${script}cd '${folder.path}'\n` : script,
    // The server in the background needs time to serve; readers are slower.
    script.includes('serve &')
      ? 'for i in $(seq 600); do curl -sf http://127.0.0.1:8053/readyz >/dev/null && break; sleep 0.1; done\n'
      : '',
    `echo '${mark}'\n`,
  ]);
  const script = lines.join('').replace('pharos serve &', 'pharos serve >log 2>&1 &');
  await using shell = start(['-c', script], { command: 'sh', env: { NO_COLOR: '1' } });
  const { stdout, stderr } = await shell.finished;
  const outputs = stdout.split(`${mark}\n`);
  for (const [index, { script: text, expected }] of steps.entries()) {
    if (expected !== undefined) expect(outputs[index], text + stderr).toMatch(patternOf(expected));
  }
  expect(outputs).toHaveLength(steps.length + 1);
  expect(stderr.replace(/.*Terminated.*\n?/g, '')).toBe('');
});

test('README.md has the lines and the answers that the demo prints', () => {
  const readme = readFileSync(`${ROOT}README.md`, 'utf8');
  const demo = readFileSync(`${ROOT}cli/demo-parts.ts`, 'utf8');
  const clients = [...demo.matchAll(/subnet: '([^']+)', answer: '([^']+)'/g)];
  expect(clients).toHaveLength(3);
  for (const [, subnet, answer] of clients) {
    const command = `dig @127.0.0.1 -p 5300 www.example.com +short +subnet=${subnet ?? ''}`;
    const line = readme.split('\n').find((each) => each.startsWith(command));
    expect(line, command).toMatch(new RegExp(`# .*${(answer ?? '').replaceAll('.', '\\.')}$`));
  }
});
