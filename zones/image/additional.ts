/**
 * Finds the RRsets for the additional section while a zone is compiled, so that a query needs no search.
 */
import { hashName } from '../../wire/name-hash.ts';
import { canonical, type Name } from '../../wire/name.ts';
import { get8 } from '../../wire/octets.ts';
import { additionalNameOffset } from '../../wire/rdata.ts';
import { TYPE } from '../../wire/types.ts';
import { endsWithName, type NameTable } from '../read/name-table.ts';
import { ownerOf, rdataOf, type RecordStore, recordType } from '../read/record-store.ts';
import { pushWords, type Words } from './growable.ts';
import { NODE, NODE_FLAG, ROW_WORDS, RRSET, rrsetWord, nodeWord } from './image.ts';
import { findNode, flagsOf, type NodeTable } from './node-table.ts';

/** A zone whose RRsets are in the image, and the names in their data. */
type Pointing = {
  readonly building: NodeTable & {
    readonly rrsets: Words;
    readonly extras: Words;
    readonly pointers: Words | undefined;
    isLoose: boolean;
  };
  readonly store: RecordStore;
  readonly owners: NameTable;
  readonly apex: Name;
  /** Whether a name is in another zone that is served here. */
  readonly isInChild: (name: Name) => boolean;
  /** Nodes that queries do not find, by owner: those below a cut, where glue is. */
  readonly occludedNode: ReadonlyMap<string, number>;
  /** (RRset, offset of the target's name in it, row), the targets of an RRset together. */
  readonly targets: Words;
};

/**
 * Finds the addresses, glue included, of the names that NS, MX, SRV and similar records point to. All RRsets must be
 * encoded.
 */
export function resolveTargets(work: Pointing): void {
  const { building, store, targets } = work;
  const done = new Set<string>();
  for (let i = 0; i < targets.length; i += 3) {
    const [rrset = 0, offset = 0, row = 0] = targets.array.subarray(i, i + 3);
    if (i === 0 || targets.array[i - 3] !== rrset) done.clear();
    const isOwner = isOwnTarget(store, row);
    const data = rdataOf(store, row);
    const target = canonical(data.subarray(additionalNameOffset(recordType(store, row)) ?? 0));
    const name = isOwner ? canonical(ownerOf(store, row)) : target.subarray(0, nameEnd(target));
    // RFC 2181 5: several SRV records may name one host, and its addresses are still one RRset.
    const key = Buffer.from(name).toString('latin1');
    if (done.has(key)) continue;
    done.add(key);
    notePointer(work, name, row);
    const at = rrset * ROW_WORDS;
    const rrsets = additionalOf(work, name, recordType(store, row)).filter((extra) => extra !== rrset);
    if (rrsets.length === 0) continue;
    if (rrsetWord(building.rrsets.array, rrset, RRSET.EXTRA_COUNT) === 0) {
      building.rrsets.array[at + RRSET.FIRST_EXTRA] = building.extras.length / 2;
    }
    // The first record of the RRset begins with its owner.
    for (const extra of rrsets) pushWords(building.extras, extra, isOwner ? 0 : offset);
    building.rrsets.array[at + RRSET.EXTRA_COUNT] =
      rrsetWord(building.rrsets.array, rrset, RRSET.EXTRA_COUNT) + rrsets.length;
  }
}

/** Notes which node points to a name, for changes in place of that name. */
function notePointer({ building, apex, owners, occludedNode, isInChild }: Pointing, name: Name, row: number): void {
  if (!building.pointers || !endsWithName(name, 0, name.length, apex)) return;
  pushWords(building.pointers, hashName(name, 0), owners.nodeOf[row] ?? 0);
  const isHidden = occludedNode.has(Buffer.from(name).toString('latin1')) || isInChild(name);
  if (!isHidden && findNode(building, name, 0, name.length) < 0) building.isLoose = true;
}

/** RFC 9460 2.5.2: in ServiceMode (a priority other than 0) the target "." means the owner. */
function isOwnTarget(store: RecordStore, row: number): boolean {
  if (!isServiceBinding(recordType(store, row))) return false;
  const [high = 0, low = 0, length] = rdataOf(store, row);
  return (high | low) !== 0 && length === 0;
}

function isServiceBinding(type: number): boolean {
  return type === TYPE.SVCB || type === TYPE.HTTPS;
}

function nameEnd(bytes: Uint8Array): number {
  let at = 0;
  while (get8(bytes, at) !== 0) at += get8(bytes, at) + 1;
  return at + 1;
}

/**
 * The RRsets that a record of type `pointing` adds for a target in this zone: addresses, which are authoritative data
 * or, for name servers only, glue; for a service binding also the bindings of the target (RFC 9460 4.1).
 */
function additionalOf(work: Pointing, name: Name, pointing: number): number[] {
  const { building, occludedNode } = work;
  const glue = occludedNode.get(Buffer.from(name).toString('latin1'));
  if (glue !== undefined && pointing !== TYPE.NS) return [];
  if (glue === undefined && work.isInChild(name)) return [];
  const own = glue ?? findNode(building, name, 0, name.length);
  const node = own < 0 ? wildcardFor(work, name) : own;
  if (node < 0) return [];
  const first = nodeWord(building.nodes.array, node, NODE.FIRST_RRSET);
  const count = nodeWord(building.nodes.array, node, NODE.RRSET_COUNT);
  // In this order, IPv6 addresses are the first to be left out if there is no room for all.
  const types = isServiceBinding(pointing) ? [pointing, TYPE.A, TYPE.AAAA] : [TYPE.A, TYPE.AAAA];
  return types.flatMap((type) => {
    for (let rrset = first; rrset < first + count; rrset++) {
      if (rrsetWord(building.rrsets.array, rrset, RRSET.TYPE) === type) return [rrset];
    }
    return [];
  });
}

/** The wildcard that answers for a name that does not exist, or -1 (RFC 4592 3.3.1). */
function wildcardFor({ building, apex }: Pointing, name: Name): number {
  for (let at = 0; name.length - at > apex.length;) {
    at += (name[at] ?? 0) + 1;
    const encloser = findNode(building, name, at, name.length - at);
    if (encloser < 0) continue;
    const isLeft = (flagsOf(building, encloser) & (NODE_FLAG.CUT | NODE_FLAG.DNAME)) !== 0;
    if (isLeft) return -1;
    return nodeWord(building.nodes.array, encloser, NODE.WILDCARD);
  }
  return -1;
}
