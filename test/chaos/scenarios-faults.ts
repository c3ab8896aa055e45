/** Scenarios 16 to 26: networks, addresses, pauses, slow nodes, disks, clocks, drains. */
import type { ChaosRing } from './chaos-ring.ts';
import { UNLIMITED, type Scenario } from './scenario.ts';

const READY_MS_MAX = 300_000;
const WHOLE_MS_MAX = 300_000;
const HELD = { kind: 'held' } as const;
const MARK_BYTES = 300_000;
/** A foreign node stays at an address for so long, and longer until somebody has turned it away. */
const FOREIGN_MS = 6_000;
const REFUSED_MS_MAX = 60_000;
const PATIENCE_MS = 60_000;

export const FAULTS: readonly Scenario[] = [
  {
    number: 16, name: 'swapped-addresses', about: 'two nodes are found at each other\'s address: nobody takes one for the other', replicas: 3, needs: ['swap-addresses'],
    steps: async (ring, stage) => {
      const before = await idsByNode(ring);
      stage.note('the addresses of nodes 1 and 2 are swapped');
      await ring.swapAddresses(1, 2);
      await stage.pause(8_000);
      stage.note('and right again');
      await ring.heal();
      await ring.untilWhole(WHOLE_MS_MAX);
      if (await idsByNode(ring) !== before) stage.fail('a node has another id than before');
    },
  },
  {
    number: 17, name: 'foreign-node', about: 'a node of another ring answers at an old address: it is turned away, and the members stay who they are', replicas: 3, needs: ['foreign-node'], isShort: true,
    steps: async (ring, stage) => {
      const before = await idsByNode(ring);
      const refusedBefore = await refused(ring);
      stage.note('node 2 is killed, and a node of another ring is at its address');
      await ring.impersonate(2);
      await stage.pause(FOREIGN_MS);
      let turnedAway = await refused(ring) - refusedBefore;
      for (const endAt = performance.now() + REFUSED_MS_MAX; turnedAway <= 0 && performance.now() < endAt; turnedAway = await refused(ring) - refusedBefore) await stage.pause(250);
      stage.say(`${turnedAway} handshakes were refused`);
      if (turnedAway <= 0) stage.fail('nobody counted a refused handshake');
      for (const node of ring.nodes.slice(0, 2)) {
        const view = await node.ring();
        if (view.members.length !== 3) stage.fail(`${node.name} sees ${view.members.length} members`);
      }
      stage.note('the foreign node is gone');
      await ring.heal();
      await ring.untilReady([0, 1, 2], READY_MS_MAX);
      await ring.untilWhole(WHOLE_MS_MAX);
      if (await idsByNode(ring) !== before) stage.fail('a node has another id than before');
    },
  },
  {
    number: 18, name: 'partition', about: 'two against one, each alone, and one direction only: a minority acknowledges nothing, and it heals to one view', replicas: 3, needs: ['links'], isShort: true,
    steps: async (ring, stage) => {
      const cuts: readonly (readonly [string, readonly (readonly [readonly number[], readonly number[]])[]])[] = [
        ['2 from 0 and 1', [[[2], [0, 1]], [[0, 1], [2]]]],
        ['each from each', [[[0, 1, 2], [0, 1, 2]]]],
        ['1 hears nobody', [[[0, 2], [1]]]],
      ];
      for (const [what, links] of cuts) {
        stage.note(`cut: ${what}`);
        for (const [from, to] of links) await ring.link(from, to, HELD);
        await stage.pause(1_000);
        const lonely = what === '1 hears nobody' ? 1 : 2;
        const response = await fetch(ring.nodes[lonely]?.objectUrl('minority') ?? '', { method: 'PUT', body: 'x', signal: AbortSignal.timeout(30_000) });
        await response.arrayBuffer();
        if (response.status < 500) stage.fail(`a node alone answered a PUT with ${response.status}`);
        await stage.pause(2_000);
        await ring.heal();
        stage.note('links open');
        const ms = await ring.untilWhole(WHOLE_MS_MAX);
        if (ms > 30_000) stage.late(`${what}: one view only ${ms.toFixed(0)} ms after the cut`);
        stage.say(`${what}: one view ${(ms / 1000).toFixed(1)} s after the cut`);
      }
    },
  },
  {
    number: 19, name: 'pause', about: 'a process stands still for one second and for a minute: the short pause is no failure, the long one ends without a conflict', replicas: 3, needs: ['pause'],
    steps: async (ring, stage) => {
      const before = await idsByNode(ring);
      for (const ms of [1_000, 60_000]) {
        await stage.observe(`a pause of ${ms / 1000} s`, async () => {
          stage.note(`SIGSTOP of node 1 for ${ms / 1000} s`);
          await ring.pause(1);
          await stage.pause(ms);
          const liveness = (await ring.nodes[0]?.ring())?.members.find(({ name }) => name === ring.nodes[1]?.name)?.liveness;
          stage.say(`after ${ms / 1000} s the others count it as ${liveness ?? 'gone'}`);
          if (ms > 30_000 && liveness !== 'down') stage.late(`after ${ms} ms it counts as ${liveness ?? 'gone'}`);
          await ring.resume(1);
          await ring.untilWhole(WHOLE_MS_MAX);
        }, UNLIMITED);
      }
      if (await idsByNode(ring) !== before) stage.fail('a node has another id than before');
    },
  },
  {
    number: 20, name: 'slow-node', about: 'one node is busy nine tenths of the time: others answer, and nobody else is accused', replicas: 3, needs: ['slow'],
    steps: async (ring, stage) => {
      await stage.observe('a slow node', async () => {
        stage.note('node 2 is busy');
        await ring.slow(2, 0.9);
        const endAt = performance.now() + 15_000;
        let accused = 0;
        while (performance.now() < endAt) {
          const views = await Promise.all(ring.nodes.slice(0, 2).map((node) => node.ring().catch(() => null)));
          for (const view of views) for (const { name, liveness } of view?.members ?? []) if (name !== ring.nodes[2]?.name && liveness === 'down') accused += 1;
          await stage.pause(250);
        }
        if (accused > 0) stage.late(`a healthy node counted as down at ${accused} looks`);
        await ring.slow(2, 0);
        await ring.untilWhole(WHOLE_MS_MAX);
      }, UNLIMITED);
    },
  },
  {
    number: 21, name: 'full-disk', about: 'the volume of one node is full: nothing is lost, reads go on, and it recovers by itself', replicas: 3, needs: ['full-disk'],
    steps: async (ring, stage) => {
      stage.note('the volume of node 1 is full');
      await ring.fillDisk(1);
      await stage.pause(8_000);
      const view = await ring.nodes[1]?.view();
      stage.say(`its volume is ${view?.storage.level ?? 'unknown'}`);
      if (view?.storage.isReadOnly !== true) stage.fail(`with a full volume it is ${view?.storage.level ?? 'unknown'}`);
      const response = await fetch(ring.nodes[1]?.objectUrl('full') ?? '', { method: 'PUT', body: 'x'.repeat(1000), signal: AbortSignal.timeout(30_000) });
      await response.arrayBuffer();
      stage.say(`a PUT through it is answered ${response.status}`);
      stage.note('there is room again');
      await ring.freeDisk(1);
      const ms = await ring.untilWhole(WHOLE_MS_MAX);
      stage.say(`whole ${(ms / 1000).toFixed(1)} s after there was room`);
    },
  },
  {
    number: 22, name: 'damaged-files', about: 'bodies of one node rot or vanish, its log loses its tail or a bit: all is found and comes again from the others', replicas: 3, needs: ['damage'], isShort: true, mayExitWith: [1],
    steps: async (ring, stage) => {
      for (let i = 0; i < 4; i++) await stored(ring, `marked/${i}`);
      for (const what of ['bodies', 'missing-body', 'log-tail', 'log'] as const) {
        const places = await ring.damage(2, what);
        stage.note(`node 2 is killed; damaged: ${what}, ${places} places`);
        if (places === 0) stage.fail(`nothing was there to damage: ${what}`);
        await ring.untilReady([2], READY_MS_MAX);
        const ms = await ring.untilWhole(WHOLE_MS_MAX);
        stage.say(`${what}: whole ${(ms / 1000).toFixed(1)} s after it is ready`);
        for (let i = 0; i < 4; i++) {
          for (const node of ring.nodes) {
            const { status, bytes } = await answered(node.objectUrl(`marked/${i}`), 'GET');
            if (status !== 200 || !bytes.equals(marked(`marked/${i}`))) stage.fail(`${what}: marked/${i} through ${node.name} is ${status} with ${bytes.length} bytes, or other bytes`);
          }
        }
      }
    },
  },
  {
    number: 24, name: 'clock', about: 'the wall clocks of two nodes are an hour off, each its way: no time-out and no order depends on them', replicas: 3, needs: ['clock'],
    steps: async (ring, stage) => {
      await stage.observe('clocks an hour off', async () => {
        stage.note('node 0 is an hour ahead, node 1 an hour behind');
        await ring.shiftClock(0, 3_600_000);
        await ring.shiftClock(1, -3_600_000);
        await stage.pause(5_000);
        stage.note('SIGKILL of node 0');
        await ring.kill([0]);
        await ring.untilReady([0], READY_MS_MAX);
        await stage.pause(2_000);
        stage.note('the clocks jump back');
        await ring.shiftClock(0, 0);
        await ring.shiftClock(1, 0);
        await stage.pause(3_000);
      });
      for (const node of ring.nodes) {
        const down = (await node.ring()).members.filter(({ liveness }) => liveness === 'down');
        if (down.length > 0) stage.fail(`${node.name} counts ${down.map(({ name }) => name).join(', ')} as down`);
      }
    },
  },
  {
    number: 26, name: 'drain', about: 'pods are evicted one after the other: the budget allows one at a time', replicas: 3, needs: ['evict'],
    steps: async (ring, stage) => {
      await stage.observe('a drain', async () => {
        let refusals = 0;
        for (const ordinal of [0, 1, 2]) {
          while (!(await ring.evict(ordinal))) {
            refusals += 1;
            await stage.pause(250);
          }
          stage.note(`node ${ordinal} is evicted`);
          await stage.pause(100);
          if (await ring.evict((ordinal + 1) % 3)) stage.fail('a second eviction was allowed at once');
        }
        await ring.untilReady([0, 1, 2], READY_MS_MAX);
        stage.say(`${refusals} evictions were refused and tried again`);
      });
    },
  },
];

async function idsByNode(ring: ChaosRing): Promise<string> {
  return (await Promise.all(ring.nodes.map(async (node) => `${node.name} ${(await node.view()).nodeId}`))).join(', ');
}

async function refused(ring: ChaosRing): Promise<number> {
  const counts = await Promise.all(ring.nodes.slice(0, 2).map((node) => node.metric('dht_peer_handshake_failures_total')));
  return counts.reduce<number>((sum, count) => sum + (count ?? 0), 0);
}

const marked = (name: string): Buffer => Buffer.alloc(MARK_BYTES, `${name} `);

async function stored(ring: ChaosRing, name: string): Promise<void> {
  const { status } = await answered(`${ring.serviceUrl}/v1/objects/${name}`, 'PUT', marked(name));
  if (status > 201) throw new Error(`PUT ${name}: ${status}`);
}

/** Asks again while there is no answer but 503, as a client with patience does: on a busy machine a node may be short of time. */
async function answered(url: string, method: string, body: Buffer | null = null): Promise<{ status: number; bytes: Buffer }> {
  for (const endAt = performance.now() + PATIENCE_MS; ; await new Promise((resolve) => { setTimeout(resolve, 250); })) {
    const isLast = performance.now() > endAt;
    try {
      const response = await fetch(url, { method, body: body === null ? null : new Uint8Array(body), signal: AbortSignal.timeout(30_000) });
      const bytes = Buffer.from(await response.arrayBuffer());
      if (response.status !== 503 || isLast) return { status: response.status, bytes };
    } catch (error) {
      if (isLast) throw error;
    }
  }
}
