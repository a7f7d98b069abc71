/**
 * `node bench/replay.ts [CASE ...]`: the packets of a case through `answer()` in this process, without sockets. Prints
 * nanoseconds a query; with `node --cpu-prof` it is what to profile.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createHealthTable } from '../health/table.ts';
import { createCounters } from '../server/counters.ts';
import { createAnswerer, type AnswererPayload } from '../server/answerer.ts';
import { TRANSPORT } from '../server/exchange.ts';
import { SLOT_OCTETS } from '../server/message-vector.ts';
import { loadGeneration } from '../zones/load.ts';
import { CASES } from './cases.ts';
import { writePharosConfiguration } from './peers/pharos.ts';

/** As many queries as are on the way in the benchmark. */
const SLOTS = 200;
const RUNS = 7;
const QUERIES = 1_000_000;

const wanted = process.argv.slice(2);
const folder = mkdtempSync(join(tmpdir(), 'pharos-replay-'));
const loaded = loadGeneration({
  file: writePharosConfiguration(folder, 5300, 5301),
  cwd: folder,
  env: {},
  cores: 2,
});
rmSync(folder, { recursive: true, force: true });
if (!loaded.ok) throw new Error(loaded.diagnostics.map(({ message }) => message).join('\n'));
const { image, atlas, catalog } = loaded.value;
const health = createHealthTable(catalog.vips.length);
const weights = new Int32Array(health, catalog.vips.length * 4);
for (const { slot, weight } of catalog.vips) weights[slot] = weight;
const payload: AnswererPayload = {
  image,
  atlas,
  health,
  served: [new SharedArrayBuffer(catalog.vips.length * 8)],
  nsid: new Uint8Array(0),
  version: new Uint8Array(0),
};
const answer = createAnswerer({ generation: 1, payload }, createCounters(), 0);

for (const each of CASES) {
  if (wanted.length > 0 && !wanted.includes(each.name)) continue;
  const packets = each.questions().map(({ packet }) => packet);
  const rx = new Uint8Array(SLOTS * SLOT_OCTETS);
  const tx = new Uint8Array(SLOTS * SLOT_OCTETS);
  const peer = Uint8Array.of(127, 0, 0, 1);
  let best = Infinity;
  for (let run = 0; run < RUNS; run++) {
    let taken = 0;
    for (let done = 0; done < QUERIES; done += SLOTS) {
      for (let slot = 0; slot < SLOTS; slot++)
        rx.set(packets[(done + slot) % packets.length] ?? [], slot * SLOT_OCTETS);
      const start = performance.now();
      for (let slot = 0; slot < SLOTS; slot++) {
        const length = packets[(done + slot) % packets.length]?.length ?? 0;
        answer(rx, slot * SLOT_OCTETS, length, peer, 0, 4, TRANSPORT.UDP, tx, slot * SLOT_OCTETS);
      }
      taken += performance.now() - start;
    }
    best = Math.min(best, (taken / QUERIES) * 1e6);
  }
  console.log(`${each.name.padEnd(10)} ${best.toFixed(0).padStart(5)} ns a query (best of ${RUNS} runs)`);
}
