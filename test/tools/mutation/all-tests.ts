/** The tests of a group as one file: a thread loads them once, and `kept-tests.ts` runs them for each mutant. */
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

for (const file of (process.env['PHAROS_MUTATION_TESTS'] ?? '').split(';')) {
  await import(pathToFileURL(resolve(file)).href);
}
