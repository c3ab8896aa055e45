/**
 * Two processes where one should be: the same name on two machines, with two disks or with copies of one. However it comes
 * about, one of both is out of the ring in the end, and no write is lost.
 */
import { PROTOCOL_VERSIONS } from '../../src/domain/protocol-versions.ts';
import { describe, expect, test } from '@jest/globals';
import { ALL_RULES } from '../../src/domain/rules.ts';
import { DhtNode } from '../../src/node/dht-node.ts';
import { NODE_TUNING } from '../../src/node/node-tuning.ts';
import { SimDisk } from '../../src/sim/sim-disk.ts';
import { SimLog } from '../../src/sim/sim-log.ts';
import { SIM_METER } from '../../src/sim/sim-meter.ts';
import { CALM_NETWORK, SimNetwork } from '../../src/sim/sim-network.ts';
import { Simulation } from '../../src/sim/simulation.ts';

const PORTS = [7400, 7401, 7402, 7403];
const FILES = Array.from({ length: 12 }, (_, i) => `file ${i}`);

/** A machine: its place in the network, and its disk. The node on it is always called `localhost:<port>`. */
interface Machine {
  readonly host: string;
  readonly port: number;
  readonly disk: SimDisk;
}

type Four = readonly [DhtNode, DhtNode, DhtNode, DhtNode];

class World {
  readonly sim = new Simulation({ seed: 3, linesMax: 5000, durationMsMax: 600_000, eventsMax: 5_000_000 });
  readonly network = new SimNetwork({ clock: this.sim.clock, random: this.sim.random.fork('network') }, CALM_NETWORK);
  #lives = 0;

  machine(host: string, port: number): Machine {
    const disk = new SimDisk(
      { clock: this.sim.clock, random: this.sim.random.fork(`disk of ${host}:${port}`) },
      { capacityBytes: 2 ** 30, syncLatency: { minMs: 0.2, maxMs: 1 }, otherLatency: { minMs: 0, maxMs: 0 } },
    );
    return { host, port, disk };
  }

  start({ host, port, disk }: Machine, join: readonly string[]): Promise<DhtNode> {
    const place = `${host}:${port}`;
    return DhtNode.start({
      clock: this.sim.clock, random: this.sim.random.fork(`${place}, life ${this.#lives++}`), network: this.network.endpoint(place), disk: disk.boot(),
      log: new SimLog((level, text) => { this.sim.note(place, `${level}: ${text}`); }, {}), meter: SIM_METER, loopDelayMs: () => 0, mayFound: null, rules: ALL_RULES,
    }, {
      address: { host: 'localhost', port }, advertise: place, listenHost: host, dataDirectory: '/data',
      join, bootstrapExpect: 1, isJoinOff: false, ring: { keyBits: 48, replicas: 3, tokensPerNode: 4, candidatesPerToken: 2 },
      zone: '', weight: 1, outAfterMs: null, metricsPerPeer: false, transport: 'plaintext', versions: PROTOCOL_VERSIONS, tuning: { ...NODE_TUNING, store: { ...NODE_TUNING.store, segmentBytes: 2 ** 20 } },
    });
  }

  async until(what: string, condition: () => boolean): Promise<void> {
    if (!(await this.sim.waitUntil(condition, 40_000, 20))) throw new Error(`not within 40 s: ${what}`);
  }

  async ring(): Promise<{ readonly machines: readonly Machine[]; readonly nodes: Four }> {
    const machines = PORTS.map((port) => this.machine('localhost', port));
    const nodes: DhtNode[] = [];
    for (const machine of machines) {
      nodes.push(await this.start(machine, nodes.length === 0 ? [] : [`localhost:${PORTS[0] ?? 0}`]));
      await this.until('a member', () => nodes.every((node) => node.readiness().isOk && node.ring().phase === 'stable' && node.ring().members.length === nodes.length));
    }
    return { machines, nodes: nodes as unknown as Four };
  }

  async put(node: DhtNode, body: string): Promise<void> {
    for (const name of FILES) {
      const outcome = await node.objects.put({ name, body: Buffer.from(`${body} of ${name}`), contentType: '', meta: [], condition: { kind: 'none' }, opId: null });
      expect(outcome.kind).toBe('stored');
    }
  }

  async expectAll(node: DhtNode, body: string): Promise<void> {
    for (const name of FILES) {
      const outcome = await node.objects.get({ name, consistency: 'linearizable', wantBody: true });
      expect(outcome.kind === 'found' ? String(outcome.body) : outcome.kind).toBe(`${body} of ${name}`);
    }
  }

  async copyDisk(from: SimDisk, to: SimDisk): Promise<void> {
    const door = to.boot();
    for (const [path, bytes] of new Map(from.snapshot())) {
      await door.makeDirectory(path.slice(0, path.lastIndexOf('/')));
      const file = await door.open(path, 'create');
      await file.write(0, [bytes]);
      await file.sync();
      await door.syncDirectory(path.slice(0, path.lastIndexOf('/')));
    }
  }
}

async function play(story: (world: World) => Promise<void>): Promise<void> {
  const world = new World();
  const { violations } = await world.sim.run(() => story(world));
  expect(violations).toEqual([]);
}

const membersOf = (node: DhtNode): readonly string[] => node.ring().members.map((member) => member.nodeId).sort();

describe('a second process under the name of a member', () => {
  test('with an empty disk replaces the first, which was cut off; that one comes back, is refused, and says so', async () => {
    await play(async (world) => {
      const { nodes: [a, b, c, zombie] } = await world.ring();
      await world.put(a, 'first');
      world.network.partition(['localhost:7403'], ['localhost:7400', 'localhost:7401', 'localhost:7402', 'other:7403']);
      const heir = await world.start(world.machine('other', 7403), ['localhost:7400']);
      await world.until('the heir is a member', () => heir.readiness().isOk && a.ring().phase === 'stable' && membersOf(a).includes(heir.view().nodeId));
      expect(membersOf(a)).not.toContain(zombie.view().nodeId);
      await world.put(a, 'second');
      world.network.healAll();
      await world.until('the zombie has seen it', () => zombie.view().stateDetail.includes('another node took over this name'));
      expect(zombie.readiness().isOk).toBe(false);
      await world.sim.clock.sleep(5_000);
      for (const node of [a, b, c, heir]) expect(membersOf(node)).toEqual([a, b, c, heir].map((other) => other.view().nodeId).sort());
      for (const node of [b, heir]) await world.expectAll(node, 'second');
      await Promise.all([a, b, c, heir, zombie].map((node) => node.stop()));
    });
  });

  test('with an empty disk replaces the first, which runs on beside it', async () => {
    await play(async (world) => {
      const { nodes: [a, b, c, first] } = await world.ring();
      await world.put(first, 'first');
      const second = await world.start(world.machine('other', 7403), ['localhost:7400']);
      await world.until('one of both is out', () => [first, second].filter((node) => node.readiness().isOk).length === 1 && a.ring().phase === 'stable' && a.ring().members.length === 4);
      await world.sim.clock.sleep(5_000);
      expect(membersOf(a)).toEqual([a, b, c, second].map((node) => node.view().nodeId).sort());
      expect(first.view().stateDetail).toContain('another node took over this name');
      await world.put(b, 'second');
      await world.expectAll(second, 'second');
      await Promise.all([a, b, c, first, second].map((node) => node.stop()));
    });
  });
});

describe('a copied disk', () => {
  test.each([['while the first runs on', true], ['of a stopped node, started twice', false]])('%s: one of both ends with a reason, and the ring is whole', async (_label, runsOn) => {
    await play(async (world) => {
      const { machines, nodes: [a, b, c, last] } = await world.ring();
      await world.put(a, 'first');
      await world.sim.clock.sleep(3_000);
      const machine = machines[3] as Machine;
      const copy = world.machine('other', 7403);
      if (!runsOn) await last.stop();
      await world.copyDisk(machine.disk, copy.disk);
      const first = runsOn ? last : await world.start(machine, ['localhost:7400']);
      const second = await world.start(copy, ['localhost:7400']);
      const ends: string[] = [];
      for (const node of [first, second]) void node.ended.then((end) => { ends.push(end.kind === 'identity-lost' ? end.detail : end.kind); });
      await world.until('one of both has ended', () => ends.length > 0);
      expect(ends).toHaveLength(1);
      expect(ends[0]).toMatch(/another process runs with the identity of this node|acknowledged state is gone/);
      const loser = first.readiness().isOk ? second : first;
      const winner = loser === first ? second : first;
      await loser.stop();
      await world.until('the other goes on', () => winner.readiness().isOk);
      await world.put(b, 'second');
      await world.expectAll(winner, 'second');
      expect(membersOf(a)).toHaveLength(4);
      await Promise.all([a, b, c, winner].map((node) => node.stop()));
    });
  });
});
