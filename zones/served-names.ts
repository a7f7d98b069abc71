/**
 * Finds names in the image of a generation, for aliases that lead to a zone that is not read again.
 */
import type { Name } from '../wire/name.ts';
import { TYPE } from '../wire/types.ts';
import { decodeRrset } from './image/decode-rrset.ts';
import { createSearch, search } from './image/find-node.ts';
import {
  apexOf,
  firstRrsetOf,
  type Image,
  nameAtOf,
  NODE,
  NODE_FLAG,
  nodeWord,
  RRSET,
  rrsetWord,
} from './image/image.ts';
import { isPair } from './image/signed-rows.ts';
import type { HeldSet } from './journal/record-set.ts';
import { renamed, type HeldName } from './read/resolve-aliases.ts';

/** What the zones of the image have at a canonical name. */
export function findServed(image: Image, name: Name): HeldName {
  const { words } = image;
  const target = createSearch(name);
  search(image, target);
  let { node } = target;
  if (node < 0) return { kind: 'absent' };
  const flags = nodeWord(words, node, NODE.NAME_AND_FLAGS);
  if ((flags & NODE_FLAG.CUT) !== 0) return { kind: 'delegated' };
  if (target.suffixAt !== 0) {
    const [dname] = (flags & NODE_FLAG.DNAME) === 0 ? [] : [setsOf(image, target.zone, node).get(TYPE.DNAME)];
    const [to] = dname?.data ?? [];
    if (dname && to)
      return { kind: 'renamed', to: renamed(name, name.subarray(target.suffixAt), to), ttlSeconds: dname.ttlSeconds };
    const wildcard = nodeWord(words, node, NODE.WILDCARD);
    if (wildcard === 0) return { kind: 'absent' };
    node += wildcard;
  }
  return { kind: 'exists', owner: nameOf(image, node), sets: setsOf(image, target.zone, node) };
}

function setsOf(image: Image, zone: number, node: number): ReadonlyMap<number, HeldSet> {
  const { words } = image;
  const apex = nameOf(image, apexOf(words, zone));
  const sets = new Map<number, HeldSet>();
  const first = firstRrsetOf(node);
  const end = first + nodeWord(words, node, NODE.RRSET_COUNT);
  for (let rrset = first; rrset < end; rrset++) {
    const type = rrsetWord(words, rrset, RRSET.TYPE);
    if (!isPair(type)) sets.set(type, decodeRrset(image, apex, rrset));
  }
  return sets;
}

function nameOf({ words, bytes }: Image, node: number): Name {
  const at = nameAtOf(words, node);
  return bytes.slice(at, at + (nodeWord(words, node, NODE.NAME_AND_FLAGS) & 0xff));
}
