/**
 * A cable between two network namespaces that loses, delays, repeats and reorders packets of any protocol. The kernels
 * of many test machines have no netem, so a program carries the packets between two TUN devices. In Python, because
 * Node.js cannot enter a namespace.
 */
import { start, type Running } from './process.ts';

export type Roughness = {
  /** Shares of the packets, each way. */
  readonly lossShare: number;
  readonly repeatShare: number;
  /** Such packets take three times as long, so others overtake them. */
  readonly lateShare: number;
  readonly delayMs: number;
  readonly mtu: number;
  readonly seed: number;
};

/** `fragments`: packets of IPv4 or IPv6 that are part of a longer one. */
export type CarriedPackets = { readonly carried: number; readonly lost: number; readonly late: number; readonly repeated: number; readonly fragments: number }; // prettier-ignore

export type RoughCable = { readonly counts: () => Promise<CarriedPackets> };

const CARRIER = `
import ctypes, fcntl, heapq, itertools, json, os, random, select, signal, struct, sys, time
one, two, loss, repeat, late, delay, seed = sys.argv[1:3] + [float(each) for each in sys.argv[3:]]
dice = random.Random(int(seed))
count = dict(carried=0, lost=0, late=0, repeated=0, fragments=0)
def tun(space):
    with open('/var/run/netns/' + space) as opened:
        if ctypes.CDLL(None).setns(opened.fileno(), 0x40000000) != 0: raise OSError('setns')
    fd = os.open('/dev/net/tun', os.O_RDWR)
    fcntl.ioctl(fd, 0x400454ca, struct.pack('16sH22x', b'rough', 0x1001))
    return fd
a = tun(one)
b = tun(two)
other = {a: b, b: a}
signal.signal(signal.SIGUSR1, lambda *_: print('counts ' + json.dumps(count), flush=True))
print('ready', flush=True)
waiting, order = [], itertools.count()
while True:
    left = max(0, waiting[0][0] - time.monotonic()) if waiting else None
    for fd in select.select([a, b], [], [], left)[0]:
        packet = os.read(fd, 65536)
        isSixth = packet[0] >> 4 == 6
        if packet[6] == 44 if isSixth else (packet[6] & 0x3f) | packet[7]: count['fragments'] += 1
        if dice.random() < loss:
            count['lost'] += 1
            continue
        isLate = dice.random() < late
        copies = 2 if dice.random() < repeat else 1
        count['late'] += isLate
        count['repeated'] += copies - 1
        for _ in range(copies):
            heapq.heappush(waiting, (time.monotonic() + delay / 1000 * (3 if isLate else 1), next(order), other[fd], packet))
    while waiting and waiting[0][0] <= time.monotonic():
        try:
            os.write(waiting[0][2], waiting[0][3])
            count['carried'] += 1
        except OSError: pass
        heapq.heappop(waiting)
`;

/** Lays the cable: a device `rough` in each of two namespaces. The program ends it. */
export async function layRoughCable(
  spaces: readonly string[],
  { lossShare, repeatShare, lateShare, delayMs, seed }: Roughness,
): Promise<{ readonly program: Running; readonly cable: RoughCable }> {
  const numbers = [lossShare, repeatShare, lateShare, delayMs, seed].map(String);
  const program = start(['-c', CARRIER, ...spaces, ...numbers], { command: 'python3' });
  await program.until(/ready/);
  let asked = 0;
  return {
    program,
    cable: {
      counts: async () => {
        program.child.kill('SIGUSR1');
        const [, json = ''] = await program.until(new RegExp(`(?:^counts .*$[^]*){${asked++}}^counts (.*)$`, 'm'));
        return JSON.parse(json) as CarriedPackets;
      },
    },
  };
}
