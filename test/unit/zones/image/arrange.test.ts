import { expect, test } from 'vitest';
import { parseName } from '../../../../wire/name.ts';
import { createSearch, nextNode, search } from '../../../../zones/image/find-node.ts';
import {
  apexOf,
  firstRrsetOf,
  nameAtOf,
  NODE,
  nodeWord,
  viewImage,
  wireAtOf,
  ZONE,
  zoneWord,
} from '../../../../zones/image/image.ts';
import { load, NO_GEOGRAPHY } from '../../../support/pharos.ts';

test('a node and its first RRset share a row pair, its name and that RRset their octets', () => {
  const { image, atlas } = load({
    ...NO_GEOGRAPHY,
    'zones/example.com.yaml': `zone: example.com
nameservers: [ns1]
records:
  ns1: { A: 192.0.2.53, AAAA: "2001:db8::53", TXT: [one, two] }
  a.b.c: { A: 192.0.2.1 }
  "*.wild": { MX: [10 ns1] }
`,
  });
  const view = viewImage(image, atlas);
  const { words } = view;
  const target = createSearch(parseName('example.com.'));
  search(view, target);
  let seen = 0;
  const end = target.zone + zoneWord(words, target.zone, ZONE.NODES_END);
  for (let node = apexOf(words, target.zone); node < end; node = nextNode(words, node)) {
    expect(node % 2).toBe(0);
    seen++;
    if (nodeWord(words, node, NODE.RRSET_COUNT) === 0) continue;
    const first = firstRrsetOf(node);
    expect(first).toBe(node + 1);
    const nameEnd = nameAtOf(words, node) + (nodeWord(words, node, NODE.NAME_AND_FLAGS) & 0xff);
    expect(wireAtOf(words, first)).toBe(nameEnd);
  }
  // example.com; ns1; c, b.c, a.b.c; wild, *.wild.
  expect(seen).toBe(7);
});
