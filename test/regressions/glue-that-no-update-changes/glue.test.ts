/**
 * Names at and below a delegation have nodes that no search finds, so updates took their records for absent: glue could
 * not be deleted, and added glue was dropped because the files had other records.
 */
import { expect, test } from 'vitest';
import { zoneRecords } from '../../../server/transfer/answer-update.ts';
import { parseName } from '../../../wire/name.ts';
import { TYPE } from '../../../wire/types.ts';
import { viewImage } from '../../../zones/image/image.ts';
import { load, NO_GEOGRAPHY } from '../../support/pharos.ts';

test('updates see the records at and below a cut', () => {
  const { image, atlas } = load({
    ...NO_GEOGRAPHY,
    'zones/example.com.yaml': `zone: example.com
nameservers: [ns1]
records:
  ns1: { A: 192.0.2.1 }
  sub: { NS: [ns.sub, sub], A: 192.0.2.2 }
  ns.sub: { A: 192.0.2.3, TXT: glue }
`,
  });
  const zone = zoneRecords(viewImage(image, atlas), parseName('example.com.'));
  const types = (name: string) => [...(zone?.setsOf(parseName(`${name}.example.com.`))?.keys() ?? [])].sort();
  expect(types('sub')).toEqual([TYPE.A, TYPE.NS]);
  expect(types('ns.sub')).toEqual([TYPE.A, TYPE.TXT]);
  expect(types('other.sub')).toEqual([]);
  expect(types('none')).toEqual([]);
});
