/**
 * A region whose VIPs are all standbys is weighted by the number of VIPs, a millionth each; the tolerance of the
 * comparison was a thousandth, so such a region was healthy with any of them.
 */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { PROBED } from '../../../health/health-table.ts';
import { T } from '../../support/message.ts';
import { answering, NO_GEOGRAPHY } from '../../support/pharos.ts';

test.each([
  [1, 0],
  [2, 2],
])('with %i of 4 up it serves %i', (up, served) => {
  const zone = readFileSync(new URL('example.com.yaml', import.meta.url), 'utf8');
  const server = answering({ ...NO_GEOGRAPHY, 'zones/example.com.yaml': zone });
  ['a', 'b', 'c', 'd'].forEach((vip, index) => {
    server.set(`www.example.com/${vip}`, { probed: index < up ? PROBED.UP : PROBED.DOWN });
  });
  expect(server.ask('www.example.com', T.A).answer).toHaveLength(served);
});
