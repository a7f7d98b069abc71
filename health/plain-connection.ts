/**
 * TCP connections to IP addresses without `node:net`: calls of the C library, and one epoll instance that the event
 * loop watches. A probe over a new connection takes half the CPU time of one over a socket of Node.js, and a held
 * connection a fifth of the memory (docs/decisions/http-probes.md).
 */
import { getSystemErrorName } from 'node:util';
import {
  AF_INET,
  AF_INET6,
  EPOLL_CLOEXEC,
  EPOLL_CTL_ADD,
  EPOLL_CTL_MOD,
  EPOLLERR,
  EPOLLET,
  EPOLLHUP,
  EPOLLIN,
  EPOLLOUT,
  EPOLLRDHUP,
  ERRNO,
  libc,
  memoryAddress,
  MSG_DONTWAIT,
  MSG_NOSIGNAL,
  NULL,
  SO_ERROR,
  SO_LINGER,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_STREAM,
  SOL_SOCKET,
  whenReadable,
  whyNoLibc,
  type Libc,
} from '../config/libc.ts';
import { parseAddress } from '../wire/address.ts';
import { NO_OWNER, type ProbeConnection, type Owner } from './connection.ts';

/** Octets that are received or sent by one call. */
const DATA_OCTETS = 64 * 1024;
const TEXT_OCTETS = 16 * 1024;
/** Events of one call. */
const MAX_EVENTS = 256;
/** Reads of one connection before others have their turn. */
const MAX_READS = 8;
/** `struct epoll_event`: u32 events, u64 data; without padding on x64. */
const EVENT = process.arch === 'x64' ? { octets: 12, data: 4 } : { octets: 16, data: 8 };
/** Room for `struct sockaddr_in6`, 28 octets. */
const NAME_OCTETS = 32;

/** Places in the memory that calls read and write. */
const DATA_AT = 0;
const TEXT_AT = DATA_AT + DATA_OCTETS;
const NAME_AT = TEXT_AT + TEXT_OCTETS;
const LENGTH_AT = NAME_AT + NAME_OCTETS;
const VALUE_AT = LENGTH_AT + 8;
const LINGER_AT = VALUE_AT + 8;
const EVENT_AT = LINGER_AT + 8;
const EVENTS_AT = EVENT_AT + 16;
const ALL_OCTETS = EVENTS_AT + MAX_EVENTS * EVENT.octets;

/** The data that all connections of this thread share. */
type Poller = {
  readonly calls: Libc;
  readonly epoll: number;
  readonly octets: Buffer;
  readonly view: DataView;
  /** The addresses in memory of DATA_AT and the other places. */
  readonly at: Readonly<Record<'data' | 'text' | 'name' | 'length' | 'value' | 'linger' | 'event' | 'events', bigint>>;
  /** The received octets. Responses of equal length share it, since making one takes as long as a system call. */
  received: Buffer;
  /** The text that TEXT_AT has: most probes send the same request. */
  text: string;
  /** The watcher of `epoll`. It works for as long as it is reachable. */
  watcher: unknown;
  /** By descriptor. */
  readonly open: (PlainConnection | undefined)[];
  /** Tells a connection from an earlier one with the same descriptor. */
  serial: number;
};

let poller: Poller | undefined;

/**
 * Connects, and sends the text as soon as it is connected. Undefined when the host is not an address, or where the C
 * library cannot be called. Errors of the connection come as events, after the return. Throws when this process cannot
 * wait for events.
 */
export function connectPlain(host: string, port: number, text = ''): ProbeConnection | undefined {
  if (whyNoLibc() !== undefined) return undefined;
  poller ??= openPoller();
  const family = putName(poller, host, port);
  return family === undefined ? undefined : new PlainConnection(poller, family, host, port, text);
}

function openPoller(): Poller {
  const calls = libc();
  const epoll = calls.epoll_create1(EPOLL_CLOEXEC);
  if (epoll < 0) throw systemError('epoll_create', calls.errno());
  const memory = new ArrayBuffer(ALL_OCTETS);
  const start = memoryAddress(memory);
  const address = (place: number): bigint => start + BigInt(place);
  const opened: Poller = {
    calls,
    epoll,
    octets: Buffer.from(memory),
    view: new DataView(memory),
    at: {
      data: address(DATA_AT),
      text: address(TEXT_AT),
      name: address(NAME_AT),
      length: address(LENGTH_AT),
      value: address(VALUE_AT),
      linger: address(LINGER_AT),
      event: address(EVENT_AT),
      events: address(EVENTS_AT),
    },
    received: Buffer.alloc(0),
    text: '',
    watcher: undefined,
    open: [],
    serial: 0,
  };
  // struct linger: on, for 0 seconds. Closing then sends a reset.
  opened.view.setInt32(LINGER_AT, 1, true);
  opened.watcher = whenReadable(epoll, () => {
    // Node.js does not know of this call: it settles promises and reports errors in the immediate.
    let thrown: { readonly error: unknown } | undefined;
    try {
      takeEvents(opened);
    } catch (error) {
      thrown = { error };
    }
    setImmediate(() => {
      if (thrown !== undefined) throw thrown.error;
    });
  });
  return opened;
}

function takeEvents({ calls, epoll, at, view, open }: Poller): void {
  const count = calls.epoll_wait(epoll, at.events, MAX_EVENTS, 0);
  for (let index = 0; index < count; index++) {
    const place = EVENTS_AT + index * EVENT.octets;
    const connection = open[view.getUint32(place + EVENT.data, true)];
    // An event before this one may have closed it, and another may have its descriptor.
    if (connection?.serial === view.getUint32(place + EVENT.data + 4, true)) {
      connection.take(view.getUint32(place, true));
    }
  }
}

/** Writes the sockaddr. Returns its family; undefined if the host is not an address. */
function putName({ octets, view }: Poller, host: string, port: number): number | undefined {
  view.setUint16(NAME_AT + 2, port);
  const word = wordOf(host);
  if (word !== undefined) {
    view.setUint16(NAME_AT, AF_INET, true);
    view.setUint32(NAME_AT + 4, word);
    return AF_INET;
  }
  const bytes = parseAddress(host);
  if (bytes?.length !== 16) return undefined;
  view.setUint16(NAME_AT, AF_INET6, true);
  octets.fill(0, NAME_AT + 4, NAME_AT + NAME_OCTETS);
  octets.set(bytes, NAME_AT + 8);
  return AF_INET6;
}

/** An IPv4 address as `parseAddress` takes it; undefined for all other texts. Allocates nothing. */
function wordOf(host: string): number | undefined {
  let word = 0;
  let octet = -1;
  let dots = 0;
  for (let index = 0; index < host.length; index++) {
    const digit = host.charCodeAt(index) - 48;
    if (digit >= 0 && digit <= 9 && octet !== 0) {
      octet = octet < 0 ? digit : octet * 10 + digit;
      if (octet > 255) return undefined;
    } else if (digit === DOT && octet >= 0) {
      word = word * 256 + octet;
      octet = -1;
      dots += 1;
    } else return undefined;
  }
  return dots === 3 && octet >= 0 ? word * 256 + octet : undefined;
}

/** Beside the digits. */
const DOT = '.'.charCodeAt(0) - '0'.charCodeAt(0);

/** `struct sockaddr_in` and `struct sockaddr_in6`. */
function nameOctets(family: number): number {
  return family === AF_INET ? 16 : 28;
}

type State = 'connecting' | 'open' | 'ended' | 'closed';

/** A class, since thousands are held: their methods take no memory. */
class PlainConnection implements ProbeConnection {
  owner: Owner = NO_OWNER;
  held: Owner | undefined = undefined;
  readonly serial: number;
  readonly #poller: Poller;
  readonly #host: string;
  readonly #port: number;
  #fd: number;
  #state: State = 'connecting';
  /** Text that could not be sent yet. */
  #unsent: string;

  /** The poller's memory has the address of the host. */
  constructor(shared: Poller, family: number, host: string, port: number, text: string) {
    const { calls, at } = shared;
    this.#poller = shared;
    this.#host = host;
    this.#port = port;
    this.#unsent = text;
    this.serial = shared.serial = (shared.serial + 1) >>> 0;
    this.#fd = calls.socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (this.#fd < 0) {
      this.#failLater('connect');
      return;
    }
    shared.open[this.#fd] = this;
    if (calls.connect(this.#fd, at.name, nameOctets(family)) < 0 && calls.errno() !== ERRNO.EINPROGRESS) {
      this.#failLater('connect');
      return;
    }
    // A connection to a near host may already be established.
    const error = text === '' ? 0 : this.#sendMore();
    if (error !== 0) this.#failLater('connect', error);
    else if (!this.#await(EPOLL_CTL_ADD)) this.#failLater('connect');
  }

  isOpen(): boolean {
    return this.#state === 'open' || this.#state === 'connecting';
  }

  send(text: string): void {
    const isWaiting = this.#unsent !== '';
    this.#unsent += text;
    if (isWaiting || this.#state !== 'open') return;
    const error = this.#sendMore();
    if (error !== 0) this.#failLater('write', error);
    else if (this.#unsent !== '' && !this.#await(EPOLL_CTL_MOD)) this.#failLater('write');
  }

  hangUp(): void {
    this.owner = NO_OWNER;
    const { calls, at } = this.#poller;
    if (this.#state === 'open') calls.setsockopt(this.#fd, SOL_SOCKET, SO_LINGER, at.linger, 8);
    this.#close();
  }

  peer(): string {
    return `${this.#host} ${String(this.#port)}`;
  }

  rest(): void {
    // A connection of this kind never keeps the process alive.
  }

  isToItself(): boolean {
    const { calls, at, view, octets } = this.#poller;
    view.setUint32(LENGTH_AT, NAME_OCTETS, true);
    if (calls.getsockname(this.#fd, at.name, at.length) < 0) return false;
    const own = octets.toString('latin1', NAME_AT + 2, NAME_AT + view.getUint32(LENGTH_AT, true));
    putName(this.#poller, this.#host, this.#port);
    return own === octets.toString('latin1', NAME_AT + 2, NAME_AT + view.getUint32(LENGTH_AT, true));
  }

  /** Handles events of epoll. */
  take(events: number): void {
    if (this.#state === 'connecting') {
      const error = (events & (EPOLLERR | EPOLLHUP)) === 0 ? 0 : this.#errorOf();
      if (error !== 0) {
        this.#fail(systemError('connect', error, this.#host, this.#port));
        return;
      }
      this.#state = 'open';
      this.owner.opened?.();
    }
    if (this.#state === 'open' && this.#unsent !== '' && (events & EPOLLOUT) !== 0) {
      const error = this.#sendMore();
      if (error !== 0) this.#fail(systemError('write', error));
    }
    if ((events & (EPOLLIN | EPOLLRDHUP | EPOLLERR | EPOLLHUP)) !== 0) {
      this.#read((events & (EPOLLRDHUP | EPOLLERR | EPOLLHUP)) !== 0);
    }
  }

  /** `toTheEnd`: reads everything, since no further event comes for it. Otherwise later data causes another event. */
  #read(toTheEnd: boolean): void {
    const { calls, at } = this.#poller;
    for (let reads = 0; this.#state === 'open'; reads++) {
      if (reads === MAX_READS) {
        setImmediate(() => {
          this.#read(toTheEnd);
        });
        return;
      }
      const length = calls.recv(this.#fd, at.data, DATA_OCTETS, MSG_DONTWAIT);
      if (length > 0) {
        this.owner.received(receivedOctets(this.#poller, length));
        if (length < DATA_OCTETS && !toTheEnd) return;
      } else if (length === 0) {
        this.#state = 'ended';
        this.owner.ended();
      } else {
        const error = calls.errno();
        if (error === ERRNO.EINTR) continue;
        if (error !== ERRNO.EAGAIN) this.#fail(systemError('read', error));
        return;
      }
    }
  }

  /** Sends as much of `#unsent` as it can. Returns the error number, or 0. */
  #sendMore(): number {
    const { calls, at } = this.#poller;
    while (this.#unsent !== '') {
      const length = writeText(this.#poller, this.#unsent);
      const sent = calls.sendto(this.#fd, at.text, length, MSG_DONTWAIT | MSG_NOSIGNAL, NULL, 0);
      if (sent < 0) {
        const error = calls.errno();
        return error === ERRNO.EAGAIN || error === ERRNO.EINTR ? 0 : error;
      }
      this.#state = 'open';
      this.#unsent = sent === this.#unsent.length ? '' : this.#unsent.slice(sent);
    }
    return 0;
  }

  /** Tells epoll which events to report. */
  #await(operation: number): boolean {
    const { calls, epoll, at, view } = this.#poller;
    const writable = this.#state === 'connecting' || this.#unsent !== '' ? EPOLLOUT : 0;
    view.setUint32(EVENT_AT, (EPOLLIN | EPOLLRDHUP | EPOLLET | writable) >>> 0, true);
    view.setUint32(EVENT_AT + EVENT.data, this.#fd, true);
    view.setUint32(EVENT_AT + EVENT.data + 4, this.serial, true);
    return calls.epoll_ctl(epoll, operation, this.#fd, at.event) === 0;
  }

  /** SO_ERROR. */
  #errorOf(): number {
    const { calls, at, view } = this.#poller;
    view.setInt32(VALUE_AT, 0, true);
    view.setUint32(LENGTH_AT, 4, true);
    if (calls.getsockopt(this.#fd, SOL_SOCKET, SO_ERROR, at.value, at.length) < 0) return calls.errno();
    return view.getInt32(VALUE_AT, true);
  }

  /** Reports the failure later, because the caller sets the owner after the call that failed. */
  #failLater(call: 'connect' | 'write', errno = this.#poller.calls.errno()): void {
    const error = call === 'connect' ? systemError(call, errno, this.#host, this.#port) : systemError(call, errno);
    this.#close();
    process.nextTick(() => {
      this.owner.failed(error);
    });
  }

  #fail(error: NodeJS.ErrnoException): void {
    this.#close();
    this.owner.failed(error);
  }

  #close(): void {
    if (this.#fd >= 0) {
      this.#poller.open[this.#fd] = undefined;
      this.#poller.calls.close(this.#fd);
    }
    this.#fd = -1;
    this.#state = 'closed';
  }
}

/** The first octets of the memory for data. */
function receivedOctets(poller: Poller, length: number): Buffer {
  if (poller.received.length !== length) poller.received = poller.octets.subarray(DATA_AT, DATA_AT + length);
  return poller.received;
}

/** Writes the beginning of the text to its place, unless it is there. Returns its length. */
function writeText(poller: Poller, text: string): number {
  if (poller.text !== text) {
    poller.octets.write(text, TEXT_AT, TEXT_OCTETS, 'latin1');
    poller.text = text.length <= TEXT_OCTETS ? text : '';
  }
  return Math.min(text.length, TEXT_OCTETS);
}

/** As `node:net` has them: `connect ECONNREFUSED 192.0.2.1:80`, `read ECONNRESET`. */
function systemError(call: string, errno: number, host?: string, port?: number): NodeJS.ErrnoException {
  const code = getSystemErrorName(-errno);
  const where = host === undefined ? '' : ` ${host}:${String(port)}`;
  return Object.assign(new Error(`${call} ${code}${where}`), { errno: -errno, code, syscall: call });
}
