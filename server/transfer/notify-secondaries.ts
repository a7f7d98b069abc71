/**
 * NOTIFY (RFC 1996): tells secondaries over UDP that a zone has a new serial. Retries with growing delays until they
 * acknowledge it. Runs in the control thread.
 */
import { randomInt } from 'node:crypto';
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import type { TransferSettings } from '../../config/settings.ts';
import { systemClock, type Cancel, type Clock } from '../../health/clock.ts';
import {
  formatEndpoint,
  showEndpoint,
  inPrefix,
  isLoopback,
  isWildcardHost,
  parseAddress,
  type Endpoint,
} from '../../wire/address.ts';
import { HEADER_OCTETS, UDP_OCTETS } from '../../wire/limits.ts';
import { parseName } from '../../wire/name.ts';
import { get16, put16 } from '../../wire/octets.ts';
import { readTsig } from '../../wire/tsig-record.ts';
import { createSigner, tsigOctets, verifyTsig, type TsigKey } from '../../wire/tsig.ts';
import { CLASS, OPCODE, TYPE } from '../../wire/types.ts';
import type { Image } from '../../zones/image/image.ts';
import type { Log } from '../contract.ts';
import { soaMessage, zoneOfApex } from './zone-messages.ts';

export type SecondaryNotifier = {
  /**
   * Notifies all targets of `notify` of these zones, given by their names in the catalog. Replaces pending notices of
   * these zones, because they have an older serial, and drops the notices to targets that are no longer configured.
   */
  readonly tell: (
    zones: readonly string[],
    image: Image,
    settings: TransferSettings,
    listen: readonly Endpoint[],
  ) => void;
  /** Ends all retries and closes the sockets. */
  readonly stop: () => void;
};

/**
 * RFC 1996 3.6 leaves the delays to us: 1, 2, 4, 8, 16 and 32 seconds, so that a restarting secondary receives it too.
 */
const FIRST_WAIT_MS = 1000;
const TRIES = 6;
/** Maximum of notices under way to one target, so that ten thousand zones at a start do not flood it. */
const WINDOW = 32;

/** The notice of one zone to one target. */
type Notice = {
  readonly zone: string;
  readonly target: Target;
  /** Header, question and SOA, without identifier and signature. */
  readonly message: Uint8Array;
  /** Message identifier, chosen when the notice is first sent. */
  id: number;
  tries: number;
  /** MACs of the messages sent so far: the response may belong to any of them. */
  readonly macs: Uint8Array[];
  /** Cancels the next retry. */
  cancelRetry: Cancel;
  /** Whether a response without a valid signature has been logged. */
  complained: boolean;
};

type Target = {
  readonly endpoint: Endpoint;
  readonly key: TsigKey | undefined;
  readonly source: string | undefined;
  readonly underWay: Map<string, Notice>;
  readonly waiting: Map<string, Notice>;
};

/** All notices and the sockets that send them. */
type Notifier = {
  readonly log: Log;
  readonly clock: Clock;
  /** By endpoint. */
  readonly targets: Map<string, Target>;
  /** By address family and source. */
  readonly sockets: Map<string, Socket>;
  /** Source addresses that cannot be bound: the system chooses another one. */
  readonly unusable: Set<string | undefined>;
  /** Notices under way, by message identifier. */
  readonly byId: Map<number, Notice>;
};

export function createSecondaryNotifier(log: Log, clock: Clock = systemClock): SecondaryNotifier {
  const notifier: Notifier = {
    log,
    clock,
    targets: new Map(),
    sockets: new Map(),
    unusable: new Set(),
    byId: new Map(),
  };
  return {
    tell: (zones, image, settings, listen) => {
      const wanted = new Map(settings.notify.map((endpoint) => [formatEndpoint(endpoint), endpoint]));
      for (const [name, target] of notifier.targets) if (!wanted.has(name)) drop(notifier, name, target);
      for (const [name, endpoint] of wanted) {
        const before = notifier.targets.get(name);
        const target: Target = {
          endpoint,
          key: keyFor(endpoint, settings),
          source: sourceFor(endpoint, listen),
          underWay: before?.underWay ?? new Map<string, Notice>(),
          waiting: before?.waiting ?? new Map<string, Notice>(),
        };
        notifier.targets.set(name, target);
        for (const zone of zones) {
          const message = messageOf(zone, image);
          if (message) enqueue(notifier, target, zone, message);
        }
      }
    },
    stop: () => {
      for (const notice of notifier.byId.values()) notice.cancelRetry();
      notifier.byId.clear();
      notifier.targets.clear();
      for (const socket of notifier.sockets.values()) socket.close();
      notifier.sockets.clear();
    },
  };
}

/** Forgets a target that is no longer configured. */
function drop(notifier: Notifier, name: string, { underWay, waiting }: Target): void {
  waiting.clear();
  for (const notice of underWay.values()) end(notifier, notice);
  notifier.targets.delete(name);
}

/** Adds a notice in place of an older one of the same zone. It waits if WINDOW others are under way to the target. */
function enqueue(notifier: Notifier, target: Target, zone: string, message: Uint8Array): void {
  const running = target.underWay.get(zone);
  if (running) end(notifier, running);
  const notice: Notice = {
    zone,
    target,
    message,
    id: -1,
    tries: 0,
    macs: [],
    cancelRetry: () => undefined,
    complained: false,
  };
  target.waiting.delete(zone);
  if (target.underWay.size < WINDOW) begin(notifier, notice);
  else target.waiting.set(zone, notice);
}

function begin(notifier: Notifier, notice: Notice): void {
  notice.target.underWay.set(notice.zone, notice);
  notice.id = freeId(notifier.byId);
  notifier.byId.set(notice.id, notice);
  transmit(notifier, notice);
}

/** Sends the notice, and again after some time unless it has ended by then. */
function transmit(notifier: Notifier, notice: Notice): void {
  const { target, zone } = notice;
  if (notice.tries === TRIES) {
    notifier.log.warn(`${showEndpoint(target.endpoint)} did not acknowledge NOTIFY for ${zone}`);
    end(notifier, notice);
    return;
  }
  notice.cancelRetry = notifier.clock.after(FIRST_WAIT_MS * 2 ** notice.tries, () => {
    transmit(notifier, notice);
  });
  notice.tries++;
  const { host, port } = target.endpoint;
  socketFor(notifier, target).send(
    sealed(notice, () => nowSeconds(notifier)),
    port,
    host,
    () => undefined,
  );
}

/** Ends a notice and begins the notices that waited for its place. */
function end(notifier: Notifier, notice: Notice): void {
  notice.cancelRetry();
  notifier.byId.delete(notice.id);
  const { target, zone } = notice;
  if (target.underWay.get(zone) === notice) target.underWay.delete(zone);
  for (const [next, waiting] of target.waiting) {
    if (target.underWay.size >= WINDOW) break;
    target.waiting.delete(next);
    begin(notifier, waiting);
  }
}

function socketFor(notifier: Notifier, { endpoint, source: wanted }: Target): Socket {
  const { sockets, unusable, log } = notifier;
  const source = unusable.has(wanted) ? undefined : wanted;
  const type = endpoint.host.includes(':') ? 'udp6' : 'udp4';
  const name = `${type} ${source ?? ''}`;
  const known = sockets.get(name);
  if (known) return known;
  const socket = createSocket(type);
  sockets.set(name, socket);
  socket.on('message', (message, from) => {
    take(notifier, message, from);
  });
  socket.on('error', (error) => {
    log.warn(`NOTIFY from ${source ?? 'any address'}: ${error.message}`);
    unusable.add(source);
    sockets.delete(name);
    socket.close();
  });
  socket.bind({ ...(source === undefined ? {} : { address: source }), port: 0, exclusive: true });
  socket.unref();
  return socket;
}

/** Handles a message to one of the sockets. A response to a notice under way ends the notice. */
function take(notifier: Notifier, message: Uint8Array, { address, port }: RemoteInfo): void {
  if (message.length < HEADER_OCTETS) return;
  const notice = notifier.byId.get(get16(message, 0));
  const flags = get16(message, 2);
  if (!notice || (flags & 0x8000) === 0 || ((flags >> 11) & 15) !== OPCODE.NOTIFY) return;
  const { endpoint, key } = notice.target;
  if (port !== endpoint.port || !isSameAddress(address, endpoint.host)) return;
  const { log } = notifier;
  const who = showEndpoint(endpoint);
  if (key && !isSigned(message, key, notice, nowSeconds(notifier))) {
    if (!notice.complained)
      log.warn(`${who}: response to NOTIFY for ${notice.zone} is not signed with the key ${key.label}`);
    notice.complained = true;
    return;
  }
  const rcode = flags & 15;
  if (rcode === 0) log.info(`${who} acknowledged NOTIFY for ${notice.zone}`);
  else log.warn(`${who} rejected NOTIFY for ${notice.zone}: RCODE ${rcode}`);
  end(notifier, notice);
}

function nowSeconds({ clock }: Notifier): number {
  return Math.floor(clock.wall() / 1000);
}

/** RFC 1996 3.7: the question asks for the zone's SOA, the answer is the new SOA. Undefined for an unknown zone. */
function messageOf(name: string, image: Image): Uint8Array | undefined {
  const owner = parseName(name === '.' ? name : `${name}.`);
  const zone = zoneOfApex(image, owner);
  if (zone === undefined) return undefined;
  const head = new Uint8Array(HEADER_OCTETS + owner.length + 4);
  put16(head, 2, (OPCODE.NOTIFY << 11) | 0x0400); // AA
  put16(head, 4, 1);
  head.set(owner, HEADER_OCTETS);
  put16(head, HEADER_OCTETS + owner.length, TYPE.SOA);
  put16(head, HEADER_OCTETS + owner.length + 2, CLASS.IN);
  return soaMessage(image, zone, { head, limit: UDP_OCTETS, seal: (_, length) => length });
}

/** The message to send now. It is signed at each try, because a signature contains the time. */
function sealed({ message, id, target: { key }, macs }: Notice, nowSeconds: () => number): Uint8Array {
  const out = new Uint8Array(message.length + (key ? tsigOctets(key) : 0));
  out.set(message);
  put16(out, 0, id);
  if (!key) return out;
  const signer = createSigner(key, nowSeconds);
  signer.sign(out, message.length);
  macs.push(signer.mac());
  return out;
}

function isSigned(message: Uint8Array, key: TsigKey, { macs }: Notice, nowSeconds: number): boolean {
  const tsig = readTsig(message);
  if (typeof tsig === 'string') return false;
  return macs.some((mac) => verifyTsig(message, tsig, [key], nowSeconds, mac).kind === 'valid');
}

/** The key of the first entry of `allow` that has a key and covers the address. */
function keyFor({ host }: Endpoint, { allow, keys }: TransferSettings): TsigKey | undefined {
  const address = parseAddress(host) ?? new Uint8Array(0);
  const entry = allow.find(({ from, key }) => key !== undefined && inPrefix(address, from));
  return keys.find(({ label }) => label === entry?.key);
}

/** Secondaries identify a primary by its address: use the first listen address that is not a wildcard. */
function sourceFor({ host }: Endpoint, listen: readonly Endpoint[]): string | undefined {
  const isV6 = host.includes(':');
  return listen
    .map((each) => each.host)
    .find((own) => own.includes(':') === isV6 && !isWildcardHost(own) && isLocal(own) === isLocal(host));
}

function isLocal(host: string): boolean {
  const address = parseAddress(host);
  return address !== undefined && isLoopback(address);
}

function isSameAddress(a: string, b: string): boolean {
  const [one, other] = [parseAddress(a.split('%')[0] ?? ''), parseAddress(b)];
  return one !== undefined && other !== undefined && Buffer.compare(one, other) === 0;
}

function freeId(taken: ReadonlyMap<number, unknown>): number {
  for (;;) {
    const id = randomInt(0x1_0000);
    if (!taken.has(id)) return id;
  }
}
