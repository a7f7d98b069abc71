/**
 * The process of a guided run: `node guided-process.ts MODULE TARGET FOLDER LIBFUZZER-OPTION ...`. When octets fail, it
 * writes them to FOLDER/failed and ends with 1.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { tryInput, type FuzzTarget } from '../fuzz-target.ts';
import { countCode, loadFuzzer } from './jazzer.ts';
import { inputFrom } from './octet-choices.ts';

const [, , module = '', name = '', folder = '', ...options] = process.argv;
const fuzzer = loadFuzzer();
countCode(fuzzer);
const { TARGETS } = (await import(module)) as { readonly TARGETS: readonly FuzzTarget[] };
const target = TARGETS.find((each) => each.name === name);
if (!target) throw new Error(`unknown target ${name}`);
const opened = await target.open();
const run = async (octets: Buffer): Promise<void> => {
  try {
    await tryInput(opened, inputFrom(target.inputs, octets).value);
  } catch (error) {
    console.error(error);
    writeFileSync(join(folder, 'failed'), octets);
    process.exit(1);
  }
};
await fuzzer.startFuzzingAsync(run, ['fuzz', ...options]);
await opened.close?.();
process.exit(0);
