/**
 * Rule R16: a node whose disk was set back to an older state (a restored snapshot) is found out by its peers, answers
 * nothing under its old id, and comes back as a new member that gets everything again.
 */
import { PROTOCOL_VERSIONS } from '../../src/domain/protocol-versions.ts';
import { expect, test } from '@jest/globals';
import { ALL_RULES } from '../../src/domain/rules.ts';
import { DhtNode } from '../../src/node/dht-node.ts';
import { NODE_TUNING } from '../../src/node/node-tuning.ts';
import { SimDisk } from '../../src/sim/sim-disk.ts';
import { SimLog } from '../../src/sim/sim-log.ts';
import { SIM_METER } from '../../src/sim/sim-meter.ts';
import { CALM_NETWORK, SimNetwork } from '../../src/sim/sim-network.ts';
import { Simulation } from '../../src/sim/simulation.ts';

const NAMES = ['localhost:7400', 'localhost:7401', 'localhost:7402'] as const;
const FILES = Array.from({ length: 12 }, (_, i) => `file ${i}`);

test('a restored snapshot is found out, and the node rejoins as a new member', async () => {
  const sim = new Simulation({ seed: 3, linesMax: 5000, durationMsMax: 600_000, eventsMax: 3_000_000 });
  const result = await sim.run(async () => {
    const network = new SimNetwork({ clock: sim.clock, random: sim.random.fork('network') }, CALM_NETWORK);
    const disks = new Map(NAMES.map((name) => [name, new SimDisk(
      { clock: sim.clock, random: sim.random.fork(`disk of ${name}`) },
      { capacityBytes: 2 ** 30, syncLatency: { minMs: 0.2, maxMs: 1 }, otherLatency: { minMs: 0, maxMs: 0 } },
    )]));
    let lives = 0;
    const start = (name: (typeof NAMES)[number], join: readonly string[]): Promise<DhtNode> => DhtNode.start({
      clock: sim.clock, random: sim.random.fork(`${name}, life ${lives++}`), network: network.endpoint(name), disk: (disks.get(name) as SimDisk).boot(),
      log: new SimLog((level, text) => { sim.note(name, `${level}: ${text}`); }, {}), meter: SIM_METER, loopDelayMs: () => 0, mayFound: null, rules: ALL_RULES,
    }, {
      address: { host: 'localhost', port: Number(name.split(':')[1]) }, advertise: null, listenHost: 'localhost', dataDirectory: '/data',
      join, bootstrapExpect: 1, isJoinOff: false, ring: { keyBits: 48, replicas: 3, tokensPerNode: 4, candidatesPerToken: 2 },
      zone: '', weight: 1, outAfterMs: null, metricsPerPeer: false, transport: 'plaintext', versions: PROTOCOL_VERSIONS, tuning: { ...NODE_TUNING, store: { ...NODE_TUNING.store, segmentBytes: 2 ** 20 } },
    });
    const until = async (what: string, condition: () => boolean): Promise<void> => {
      if (!(await sim.waitUntil(condition, 20_000, 20))) throw new Error(`not within 20 s: ${what}`);
    };
    const put = async (node: DhtNode, from: number, to: number): Promise<void> => {
      for (const name of FILES.slice(from, to)) {
        const outcome = await node.objects.put({ name, body: Buffer.from(`body of ${name}`), contentType: '', meta: [], condition: { kind: 'none' }, opId: null });
        expect(outcome.kind).toBe('stored');
      }
    };
    const a = await start(NAMES[0], []);
    const b = await start(NAMES[1], [NAMES[0]]);
    const c = await start(NAMES[2], [NAMES[0]]);
    await until('three members', () => [a, b, c].every((node) => node.ring().members.length === 3 && node.ring().phase === 'stable'));
    await put(a, 0, 6);
    const disk = disks.get(NAMES[2]) as SimDisk;
    await c.stop();
    const before = c.view().nodeId;
    const snapshot = new Map(disk.snapshot());

    // It goes on for a while, then it is set back to what it was.
    const later = await start(NAMES[2], [NAMES[0]]);
    await until('back as itself', () => later.readiness().isOk);
    expect(later.view().nodeId).toBe(before);
    await put(later, 6, 12);
    await sim.clock.sleep(2_000);
    await later.stop();
    disk.wipe();
    const door = disk.boot();
    for (const [path, bytes] of snapshot) {
      await door.makeDirectory(path.slice(0, path.lastIndexOf('/')));
      const file = await door.open(path, 'create');
      await file.write(0, [bytes]);
      await file.sync();
      await door.syncDirectory(path.slice(0, path.lastIndexOf('/')));
    }

    const restored = await start(NAMES[2], [NAMES[0]]);
    const end = await restored.ended;
    expect(end.kind).toBe('identity-lost');
    expect(restored.readiness().isOk).toBe(false);
    await restored.stop();

    // Started without seeds: it must not found a ring of its own.
    const renewed = await start(NAMES[2], []);
    await until('a member again', () => renewed.readiness().isOk && renewed.ring().phase === 'stable' && renewed.ring().members.length === 3);
    expect(renewed.view().nodeId).not.toBe(before);
    expect(renewed.view().clusterId).toBe(a.view().clusterId);
    const isComplete = async (): Promise<boolean> => {
      const { files, backUpFiles } = await renewed.files(null, 100);
      return FILES.every((name) => files.includes(name) || backUpFiles.includes(name));
    };
    for (let i = 0; i < 100 && !(await isComplete()); i++) await sim.clock.sleep(100);
    expect(await isComplete()).toBe(true);
    await Promise.all([a, b, renewed].map((node) => node.stop()));
  });
  expect(result.violations).toEqual([]);
});
