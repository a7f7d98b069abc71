/**
 * The input of replay.ts: the benchmark's zones, compiled, and the queries of its cases.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadGeneration } from '../zones/load-generation.ts';
import { findCase } from './cases.ts';
import { writePharosConfiguration } from './peers/pharos.ts';
import { PACKETS, type ReplayInput } from './replay.ts';

/** The cases that are fast to set up. */
const REPLAYED = ['static', 'weighted', 'geo', 'random', 'mix'];

export function recordReplay(): ReplayInput {
  const folder = mkdtempSync(join(tmpdir(), 'pharos-replay-'));
  const file = writePharosConfiguration(folder, 5300, 5301);
  const loaded = loadGeneration({ file, cwd: folder, env: {}, cores: 2 });
  rmSync(folder, { recursive: true, force: true });
  if (!loaded.ok) throw new Error(loaded.diagnostics.map(({ message }) => message).join('\n'));
  const { image, atlas, catalog } = loaded.value;
  const weights = new Array<number>(catalog.vips.length).fill(0);
  for (const { slot, weight } of catalog.vips) weights[slot] = weight;
  const cases = REPLAYED.map((name) => {
    const questions = findCase(name).questions().slice(0, PACKETS);
    return { name, packets: questions.map(({ packet }) => packet) };
  });
  return { ...image, atlas, weights, cases };
}
