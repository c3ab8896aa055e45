/** The canary against a ring in virtual time: honest trouble is never a finding, and everything planted is one. */
import { describe, expect, test } from '@jest/globals';
import { Canary, type CanaryOptions } from '../../../src/canary/canary.ts';
import { CanaryRequests } from '../../../src/canary/canary-requests.ts';
import { NO_FINDINGS, stateName, type Findings } from '../../../src/canary/canary-state.ts';
import { cleanUp } from '../../../src/canary/clean-up.ts';
import { PromMeter } from '../../../src/metrics/prom-meter.ts';
import { Simulation } from '../../../src/sim/simulation.ts';
import { FakeRing, type Stored } from './fake-ring.ts';

const OPTIONS: CanaryOptions = { gateways: ['http://a', 'http://b'], token: 'secret', timeoutMs: 10_000, prefix: 'canary/', seed: 'abc', objects: 12, rate: 10, sizeMax: 2000 };

interface World {
  readonly simulation: Simulation;
  readonly ring: FakeRing;
  readonly notes: string[];
  start(options?: Partial<CanaryOptions>): { readonly canary: Canary; readonly meter: PromMeter };
  minutes(count: number): Promise<void>;
}

async function inWorld(seed: number, play: (world: World) => Promise<void>): Promise<void> {
  const simulation = new Simulation({ seed, durationMsMax: 100 * 3_600_000, eventsMax: 10_000_000, linesMax: 100 });
  const ring = new FakeRing(simulation.clock, simulation.random.fork('ring'));
  const notes: string[] = [];
  let starts = 0;
  let failure: unknown = null;
  const failed = (what: string): never => {
    failure = new Error(what);
    throw failure as Error;
  };
  const { violations } = await simulation.run(async () => {
    try {
      await play({
        simulation, ring, notes,
        start: (options = {}) => {
          const meter = new PromMeter({ version: '1', revision: '1', nodeVersion: '1' });
          const random = simulation.random.fork(`canary ${(starts += 1)}`);
        const below = random.below.bind(random);
        // As the real source of chance has it.
        random.below = (bound) => (Number.isInteger(bound) && bound > 0 ? below(bound) : failed(`a bound of ${bound}`));
          const canary = new Canary({ clock: simulation.clock, random, http: ring, meter, note: (line) => notes.push(line) }, { ...OPTIONS, ...options });
          canary.start();
          return { canary, meter };
        },
        minutes: (count) => simulation.clock.sleep(count * 60_000),
      });
    } catch (error) {
      failure = error;
    }
  });
  if (failure !== null) throw failure as Error;
  expect(violations).toEqual([]);
}

/** Minutes of peace, the planted bug, minutes until it has to be seen. */
async function findingsOf(seed: number, plant: (ring: FakeRing) => void): Promise<Findings> {
  let findings = NO_FINDINGS;
  await inWorld(seed, async ({ ring, start, minutes }) => {
    const { canary } = start();
    await minutes(5);
    plant(ring);
    await minutes(5);
    findings = canary.findings;
    canary.stop();
  });
  return findings;
}

function someObject(ring: FakeRing): readonly [string, Stored] {
  const found = [...ring.objects].find(([name]) => name !== stateName('canary/'));
  if (found === undefined) throw new Error('nothing is stored');
  return found;
}

describe('a canary', () => {
  test.each([1, 2, 3, 4])('finds nothing in a ring that only refuses, is silent, and applies late (seed %d)', async (seed) => {
    await inWorld(seed, async ({ ring, start, minutes }) => {
      ring.troubleRate = [0, 0.05, 0.2, 0.5][seed % 4] ?? 0;
      const { canary, meter } = start();
      for (let i = 0; i < 3; i++) {
        ring.troubleRate = i % 2 === 0 ? ring.troubleRate : 0.1;
        await minutes(15);
      }
      expect(canary.findings).toEqual(NO_FINDINGS);
      const text = await meter.text();
      expect(/dht_canary_acknowledged_writes_total (\d+)/.exec(text)?.[1]).toMatch(/^\d{3,}$/);
      expect(ring.objects.size).toBeLessThan(3 * OPTIONS.objects);
      canary.stop();
    });
  });

  test('finds nothing when it is killed and started again and again, in the middle of whatever it does', async () => {
    await inWorld(7, async ({ simulation, ring, start, minutes, notes }) => {
      ring.troubleRate = 0.1;
      for (let i = 0; i < 25; i++) {
        const { canary } = start();
        await simulation.clock.sleep(1000 + simulation.random.below(90_000));
        expect(canary.findings).toEqual(NO_FINDINGS);
        canary.stop();
        // What is under way goes on without it.
        if (i % 3 === 0) await minutes(2);
      }
      expect(notes.filter((note) => note.startsWith('FOUND'))).toEqual([]);
    });
  });

  test('sees an acknowledged write that the ring forgot', async () => {
    let isForgotten = false;
    const findings = await findingsOf(8, (ring) => {
      ring.keeps = (name, { method }) => {
        if (isForgotten || name.endsWith('state') || method !== 'PUT' || !ring.objects.has(name)) return true;
        isForgotten = true;
        return false;
      };
    });
    expect(findings).toEqual({ ...NO_FINDINGS, lost: 1 });
  });

  test('sees an object that is gone', async () => {
    const findings = await findingsOf(9, (ring) => ring.objects.delete(someObject(ring)[0]));
    expect(findings).toEqual({ ...NO_FINDINGS, lost: 1 });
  });

  test('sees stale answers, and does not call them a loss when the right ones come', async () => {
    const old = new Map<string, Stored>();
    let staleCount = 0;
    const findings = await findingsOf(10, (ring) => {
      const random = { float: () => ((staleCount + old.size) * 7 % 10) / 10 };
      ring.keeps = (name) => {
        const stored = ring.objects.get(name);
        if (stored !== undefined && !name.endsWith('state')) old.set(name, stored);
        return true;
      };
      ring.shows = (name, stored) => {
        const before = old.get(name);
        const isStale = before !== undefined && stored !== null && before.etag !== stored.etag && staleCount < 3 && random.float() < 0.5;
        if (isStale) staleCount += 1;
        return isStale ? before : stored;
      };
    });
    expect(findings).toEqual({ ...NO_FINDINGS, stale: 3 });
  });

  test('sees a flipped byte, and counts it once while it stays so', async () => {
    const shown = new Set<string>();
    const findings = await findingsOf(11, (ring) => {
      ring.shows = (name, stored) => {
        if (stored === null || name !== 'canary/3') return stored;
        const flipped = Buffer.from(stored.body);
        flipped.writeUInt8(flipped.readUInt8(flipped.length >> 1) ^ 4, flipped.length >> 1);
        shown.add(stored.etag);
        return { ...stored, body: flipped };
      };
    });
    expect(findings).toEqual({ ...NO_FINDINGS, corrupt: findings.corrupt });
    expect(findings.corrupt).toBeGreaterThan(0);
    expect(findings.corrupt).toBeLessThanOrEqual(shown.size);
  });

  test('sees a deleted object that is back', async () => {
    let isBack = false;
    const findings = await findingsOf(12, (ring) => {
      ring.keeps = (_name, { method }) => {
        if (method !== 'DELETE' || isBack) return true;
        isBack = true;
        return false;
      };
    });
    expect(findings).toEqual({ ...NO_FINDINGS, resurrected: 1 });
  });

  test('sees what was lost while it did not run, and keeps its count over restarts', async () => {
    await inWorld(13, async ({ simulation, ring, start, minutes }) => {
      const first = start();
      await minutes(5);
      first.canary.stop();
      await first.canary.ended;
      // Absence may have been left by the last write, if its outcome was not saved: only objects that are there count.
      ring.objects.delete(someObject(ring)[0]);
      const second = start();
      await minutes(5);
      expect(second.canary.findings).toEqual({ ...NO_FINDINGS, lost: 1 });
      second.canary.stop();
      await simulation.clock.sleep(60_000);
      const third = start();
      await minutes(1);
      expect(third.canary.findings).toEqual({ ...NO_FINDINGS, lost: 1 });
      expect(await third.meter.text()).toContain('dht_canary_lost_objects_total 1\n');
      third.canary.stop();
    });
  });

  test('ends when another one takes its set over, without a further write', async () => {
    await inWorld(14, async ({ ring, start, minutes }) => {
      const first = start();
      await minutes(2);
      const second = start();
      await minutes(2);
      expect(await first.canary.ended).toBe('superseded');
      expect([first.canary.findings, second.canary.findings]).toEqual([NO_FINDINGS, NO_FINDINGS]);
      second.canary.stop();
      await second.canary.ended;
      const count = ring.requests.length;
      await minutes(1);
      expect(ring.requests.length).toBe(count);
    });
  });

  test('keeps to its rate and to its number of objects, and sends its token', async () => {
    await inWorld(15, async ({ ring, start, minutes }) => {
      const { canary } = start({ rate: 2, objects: 3 });
      await minutes(10);
      canary.stop();
      const turns = ring.requests.filter(({ url }) => !url.endsWith('/state'));
      expect(turns.length).toBeGreaterThan(1000);
      expect(turns.length).toBeLessThanOrEqual(1200);
      expect(new Set(turns.map(({ url }) => new URL(url).pathname)).size).toBe(3);
      expect(new Set(turns.map(({ url }) => new URL(url).host))).toEqual(new Set(['a', 'b']));
      expect(ring.requests.every(({ headers }) => headers['authorization'] === 'Bearer secret')).toBe(true);
    });
  });

  test('publishes what it does with every label set from the start', async () => {
    await inWorld(16, async ({ start }) => {
      const { canary, meter } = start();
      const text = await meter.text();
      for (const line of ['dht_canary_lost_objects_total 0', 'dht_canary_stale_reads_total 0', 'dht_canary_corrupt_objects_total 0', 'dht_canary_resurrected_objects_total 0', 'dht_canary_operations_total{op="put",result="unknown"} 0', 'dht_canary_operation_duration_seconds_count{op="get"} 0']) expect(text).toContain(`${line}\n`);
      canary.stop();
    });
  });

  test('its set is removed when told, and a canary that still runs then ends', async () => {
    await inWorld(17, async ({ simulation, ring, start, minutes }) => {
      ring.objects.set('other', { body: Buffer.from('x'), etag: '"x"' });
      const { canary } = start();
      await minutes(2);
      const requests = new CanaryRequests({ http: ring, random: simulation.random.fork('clean') }, OPTIONS);
      expect((await cleanUp(requests, OPTIONS.prefix)).kind).toBe('clean');
      expect(await canary.ended).toBe('superseded');
      await minutes(1);
      await cleanUp(requests, OPTIONS.prefix);
      expect([...ring.objects.keys()]).toEqual(['other']);
      expect(canary.findings.lost).toBe(0);
    });
  });
});

