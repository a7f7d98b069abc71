/**
 * Chooses serials with `soa.serial: auto` in a fleet (docs/transfer.md#serials-in-a-fleet), so that equal content has
 * the same serial on every node. Pure; `fleet/serial-exchange.ts` exchanges the serials between nodes.
 *
 * Nodes send each other pairs of content and serial. A pair is never withdrawn, and of two serials for one content the
 * later one counts. Nodes that hear each other therefore have the same pairs in the end, whatever the order of
 * messages.
 */
import { isLaterSerial, latestSerial, serialAfter } from '../wire/serial.ts';

/** The serials of one zone that the fleet knows: by digest of the content, the latest serial. */
export type KnownContents = ReadonlyMap<string, number>;

/** By zone (`nameKey` of the apex). */
export type FleetSerials = {
  readonly known: ReadonlyMap<string, KnownContents>;
  /**
   * Whether secondaries may have seen the serials in force. False until this node serves: secondaries may then have
   * seen the serials of the last run.
   */
  readonly isServed: boolean;
};

export type SerialQuestion = {
  /** Digest of the content to be served. */
  readonly content: string;
  /** The content and serial that this node served last; undefined if none. The content is '' if it is unknown. */
  readonly before: { readonly content: string; readonly serial: number } | undefined;
  readonly known: KnownContents;
  /** The serial of the zone's files, for content that no node knows. */
  readonly ofFiles: number;
};

/**
 * The serial of a content. It is later than the serial that this node served for another content, and never earlier
 * than the one that it served for this content.
 */
export function agreedSerial({ content, before, known, ofFiles }: SerialQuestion): number {
  const agreed = known.get(content);
  const all = [...known.values(), ...(before ? [before.serial] : [])];
  const serial = ((): number => {
    if (before?.content === content) return agreed !== undefined && isLaterSerial(agreed, before.serial) ? agreed : before.serial; // prettier-ignore
    // Another node has a serial for this content. If it is earlier than the last one here, the content returns, and
    // gets a new one.
    if (agreed !== undefined && (before === undefined || isLaterSerial(agreed, before.serial))) return agreed;
    return serialAfter(latestSerial(all), ofFiles);
  })();
  // If nodes that did not hear each other gave two contents the same serial, a secondary would not notice the second.
  const rivals = [...known].flatMap(([other, taken]) => (taken === serial && other !== content ? [other] : []));
  if (rivals.length === 0) return serial;
  const place = rivals.filter((other) => other < content).length;
  return ((latestSerial([...all, serial]) ?? serial) + 1 + place) >>> 0;
}
