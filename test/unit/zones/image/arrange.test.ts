import { expect, test } from 'vitest';
import { nextNode } from '../../../../zones/image/find-node.ts';
import { viewImage, NODE, RRSET } from '../../../../zones/image/image.ts';
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
  const { nodes, rrsets } = viewImage(image, atlas);
  let seen = 0;
  for (let node = 0; node * NODE.WORDS < nodes.length; node = nextNode(nodes, node)) {
    const row = node * NODE.WORDS;
    const count = nodes[row + NODE.RRSET_COUNT] ?? 0;
    expect(node % 2).toBe(0);
    seen++;
    if (count === 0) continue;
    const first = nodes[row + NODE.FIRST_RRSET] ?? -1;
    expect(first).toBe(node + 1);
    const nameEnd = (nodes[row + NODE.NAME_AT] ?? 0) + ((nodes[row + NODE.NAME_AND_FLAGS] ?? 0) & 0xff);
    expect(rrsets[first * RRSET.WORDS + RRSET.WIRE_AT]).toBe(nameEnd);
  }
  // The root, com, example.com; ns1; c, b.c, a.b.c; wild, *.wild.
  expect(seen).toBeGreaterThanOrEqual(7);
});
