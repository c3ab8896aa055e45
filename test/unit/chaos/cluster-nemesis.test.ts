/** What random chaos does to a release, tried on one that only remembers it. */
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { SimRandom } from '../../../src/sim/sim-random.ts';
import { ClusterNemesis, type ShakenRelease } from '../../chaos/cluster-nemesis.ts';

/** Hours of short pauses are hundreds of thousands of timers. */
jest.setTimeout(120_000);

const FAULT_MS = 3_000;

class Remembering implements ShakenRelease {
  replicas = 3;
  readonly done: string[] = [];
  /** Faults that stand, or are being done. */
  standing = 0;
  readonly standingAtLoss: number[] = [];
  isWhole = true;
  #partitions = 0;
  get ordinals(): readonly number[] { return Array.from({ length: this.replicas }, (_, i) => i); }
  get pods(): ShakenRelease['pods'] { return this.ordinals.map((i) => ({ name: this.podName(i), uid: '', ip: '', node: '', isReady: true, isEnding: false, restarts: 0 })); }
  podName(ordinal: number): string { return `dht-${ordinal}`; }
  deletePod(): Promise<void> { return this.#fault('delete'); }
  async evict(): Promise<boolean> { await this.#fault('evict'); return true; }
  killContainer(): Promise<void> { return this.#fault('kill'); }
  scale(replicas: number): Promise<void> { this.replicas = replicas; this.done.push('scale'); return Promise.resolve(); }
  loseVolume(): Promise<void> { this.standingAtLoss.push(this.standing); this.done.push('lose'); return Promise.resolve(); }
  rollingRestart(): Promise<void> { this.done.push('roll'); return Promise.resolve(); }
  upgrade(): Promise<void> { this.done.push('upgrade'); return Promise.resolve(); }
  drainNodeOf(): Promise<string> { this.done.push('drain'); return Promise.reject(new Error('the budget refuses')); }
  partition(): Promise<void> { this.#partitions += 1; this.standing += 1; this.done.push('partition'); return Promise.resolve(); }
  healPartitions(): Promise<void> { this.standing -= this.#partitions; this.#partitions = 0; return Promise.resolve(); }
  cutNodeOf(): Promise<string> { return Promise.resolve(''); }
  killNodeOf(): Promise<string> { return Promise.resolve(''); }
  healNodes(): Promise<void> { return Promise.resolve(); }
  untilWhole(): Promise<number> { return this.isWhole ? Promise.resolve(0) : Promise.reject(new Error('an object lacks a copy')); }

  async #fault(what: string): Promise<void> {
    this.done.push(what);
    this.standing += 1;
    await new Promise((resolve) => { setTimeout(resolve, FAULT_MS); });
    this.standing -= 1;
  }
}

async function played(release: Remembering, seed: number, minutes: number): Promise<ClusterNemesis> {
  const nemesis = new ClusterNemesis(release, new SimRandom(`nemesis ${seed}`), { replicasMin: 3, replicasMax: 5 }, () => undefined);
  const run = nemesis.run();
  await jest.advanceTimersByTimeAsync(minutes * 60_000);
  nemesis.end();
  await jest.advanceTimersByTimeAsync(60_000);
  await run;
  return nemesis;
}

describe('random chaos on a cluster', () => {
  beforeEach(() => { jest.useFakeTimers(); });
  afterEach(() => { jest.useRealTimers(); });

  test('ends every fault that it began, and does a bit of everything', async () => {
    const release = new Remembering();
    const { counts } = await played(release, 1, 90);
    expect(release.standing).toBe(0);
    for (const kind of ['delete', 'delete with grace 0', 'evict', 'partition', 'scale', 'lost volume', 'rolling restart', 'helm upgrade', 'drain']) expect([kind, counts.get(kind) ?? 0]).not.toEqual([kind, 0]);
  });

  test('loses a volume only while no other fault stands', async () => {
    const release = new Remembering();
    for (let seed = 0; seed < 3; seed++) await played(release, seed, 40);
    expect(release.standingAtLoss.length).toBeGreaterThan(5);
    expect(new Set(release.standingAtLoss)).toEqual(new Set([0]));
  });

  test('loses no volume of a ring that is not whole', async () => {
    const release = new Remembering();
    release.isWhole = false;
    await played(release, 1, 60);
    expect(release.standingAtLoss).toEqual([]);
  });

  test('keeps the replicas within its bounds', async () => {
    const release = new Remembering();
    const scale = jest.spyOn(release, 'scale');
    await played(release, 2, 120);
    expect(scale.mock.calls.length).toBeGreaterThan(5);
    for (const [replicas] of scale.mock.calls) expect([3, 4, 5]).toContain(replicas);
  });
});
