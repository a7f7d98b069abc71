/**
 * Each reload left a listener for errors at the compile thread: memory that was never freed, and a warning of Node.js
 * in the log after ten reloads.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { createLoader } from '../../../server/threads/load-thread.ts';
import { folderOf, NO_GEOGRAPHY } from '../../support/pharos.ts';

const zone = (address: number): string =>
  `zone: example.com\nnameservers: [ns.example.net.]\nrecords: { www: { A: 192.0.2.${address} } }\n`;

test('many reloads give no warning of a leak', async () => {
  using folder = folderOf({ ...NO_GEOGRAPHY, 'zones/a.yaml': zone(0) });
  const warnings: string[] = [];
  const hear = ({ name, message }: Error): void => void warnings.push(`${name}: ${message}`);
  process.on('warning', hear);
  const loader = createLoader();
  try {
    const input = { file: undefined, cwd: folder.path, env: {}, cores: 1 };
    const first = await loader.load(input);
    let inForce = first.ok ? first.value : undefined;
    for (let reload = 1; reload <= 12; reload++) {
      writeFileSync(join(folder.path, 'zones/a.yaml'), zone(reload));
      const outcome = await loader.load(input, inForce && { inForce });
      expect(outcome.ok && outcome.value !== inForce).toBe(true);
      if (outcome.ok) inForce = outcome.value;
    }
    // Node.js emits warnings in a later tick.
    await new Promise((passed) => setImmediate(passed));
    expect(warnings).toEqual([]);
  } finally {
    loader.stop();
    process.off('warning', hear);
  }
});
