/**
 * The working memory of a signed response: see signed.ts.
 */
/** The proofs that a response needs, and scratch memory. */
export type Proofs = {
  /** NSECs that prove that the name itself does not exist, for each wildcard of the chain. */
  count: number;
  readonly nodes: Int32Array;
  /** Positions in the message of their zone's apex. */
  readonly apexAt: Int32Array;
  /** Nodes whose NSEC is in the response. */
  added: number;
  readonly addedNodes: Int32Array;
  /** The position of the current name in the message. */
  nameAt: number;
  /** Whether the current name matched a wildcard of a zone with compact denial: the answer is signed for the name. */
  isExpanded: boolean;
  /** Number of VIPs of the last set that `signedSet` found. */
  setSize: number;
  /** `*` below the closest encloser. */
  readonly wildcard: Uint8Array;
  /** Offsets of the labels of `wildcard`, and of those of a node. */
  readonly wildcardLabels: Uint8Array;
  readonly nodeLabels: Uint8Array;
};

const NAME_OCTETS = 256;
const LABELS = 129;

/** `links`: the maximum of names in a chain. */
export function createProofs(links: number): Proofs {
  return {
    count: 0,
    nodes: new Int32Array(links),
    apexAt: new Int32Array(links),
    added: 0,
    addedNodes: new Int32Array(links + 4),
    ...{ nameAt: 12, isExpanded: false },
    setSize: 0,
    wildcard: new Uint8Array(NAME_OCTETS),
    wildcardLabels: new Uint8Array(LABELS),
    nodeLabels: new Uint8Array(LABELS),
  };
}

/** Removes the proofs of the previous response. */
export function beginProofs(proofs: Proofs): void {
  proofs.count = 0;
  proofs.added = 0;
}
