/**
 * A server took 9 MB more after 17 minutes than after ten. glibc raises its limit for unused memory at the end of an
 * arena when a large block is freed, as Node.js does at its start, to twice the size of that block. So each helper
 * thread of the engine kept what its largest job had needed. And the young generation of the control thread doubled
 * each few minutes, and never became smaller.
 */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { whyNoLibc } from '../../../config/libc.ts';

const MIB = 1024 * 1024;

type Octets = { readonly before: number; readonly full: number; readonly after: number };

/** Runs a script with the functions of config/garbage.ts and config/libc.ts, and calls of the C library. */
async function measure(script: string): Promise<Octets> {
  const here = (path: string): string => JSON.stringify(new URL(`../../../${path}`, import.meta.url).href);
  const text = `
    import { readFileSync } from 'node:fs';
    import { createRequire } from 'node:module';
    import { mock } from 'node:test';
    import { allowCollecting, collectAll, heapOctets, keepHeapSmall } from ${here('config/garbage.ts')};
    import { returnLargeBlocks } from ${here('config/libc.ts')};
    const koffi = createRequire(${here('config/libc.ts')})('koffi');
    const library = koffi.load(null);
    const malloc = library.func('malloc', 'uintptr_t', ['size_t']);
    const free = library.func('free', 'void', ['uintptr_t']);
    const residentOctets = () => Number(/VmRSS:\\s+(\\d+)/.exec(readFileSync('/proc/self/status', 'latin1'))[1]) * 1024;
    allowCollecting();
    // As Node.js does at its start.
    free(malloc(30_000_000));
    returnLargeBlocks();
    ${script}
    console.log(JSON.stringify({ before, full, after }));
  `;
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', text]);
  return JSON.parse(stdout) as Octets;
}

const hasGlibc = 'glibcVersionRuntime' in (process.report.getReport() as { readonly header: object }).header;

test.runIf(whyNoLibc() === undefined && hasGlibc)(
  'memory that is freed at the end of an arena is returned',
  async () => {
    const { before, full, after } = await measure(`
    const fill = library.func('memset', 'uintptr_t', ['uintptr_t', 'int', 'size_t']);
    const before = residentOctets();
    const blocks = Array.from({ length: 100 }, () => malloc(300_000));
    for (const block of blocks) fill(block, 1, 300_000);
    const full = residentOctets();
    for (const block of blocks) free(block);
    const after = residentOctets();
  `);
    expect(full - before).toBeGreaterThan(24 * MIB);
    expect(full - after).toBeGreaterThan(24 * MIB);
  },
);

test.runIf(whyNoLibc() === undefined && hasGlibc)('each minute, what is free between used blocks too', async () => {
  const { before, full, after } = await measure(`
    const fill = library.func('memset', 'uintptr_t', ['uintptr_t', 'int', 'size_t']);
    mock.timers.enable({ apis: ['setInterval', 'setTimeout'] });
    keepHeapSmall();
    const before = residentOctets();
    const blocks = Array.from({ length: 100 }, () => malloc(300_000));
    for (const block of blocks) fill(block, 1, 300_000);
    const full = residentOctets();
    malloc(300_000);
    for (const block of blocks) free(block);
    mock.timers.tick(60_000);
    const after = residentOctets();
  `);
  expect(full - before).toBeGreaterThan(24 * MIB);
  expect(full - after).toBeGreaterThan(24 * MIB);
});

test.runIf(whyNoLibc() === undefined)('within minutes, a heap that has grown is small again', async () => {
  const { before, full, after } = await measure(`
    mock.timers.enable({ apis: ['setInterval', 'setTimeout'] });
    keepHeapSmall();
    mock.timers.tick(62_000);
    const before = heapOctets();
    let kept = [];
    while (heapOctets() < before + ${12 * MIB}) for (let count = 0; count < 1000; count++) kept.push([count, kept.length]);
    const full = heapOctets();
    kept = [];
    mock.timers.tick(62_000);
    const after = heapOctets();
  `);
  expect(full - before).toBeGreaterThan(11 * MIB);
  expect(after - before).toBeLessThan(4 * MIB);
});
