import { describe, expect, test } from '@jest/globals';
import { BODY_LIMITS } from '../../../src/domain/body-limits.ts';
import { addRun, NO_TOTALS, missing } from '../../../src/sim/swarm-summary.ts';
import type { WholeNodeRunResult } from '../../../src/sim/whole-node-run.ts';
import { WholeNodeRun } from '../../../src/sim/whole-node-run.ts';
import type { PlantedFault } from './stand-in.ts';
import { INLINE_BYTES_MAX, StandInWorld } from './stand-in.ts';

function run(seed: number, fault: PlantedFault): Promise<WholeNodeRunResult> {
  const world = new StandInWorld(fault);
  return new WholeNodeRun(world.startProgram, {
    simulation: { seed, linesMax: 0, durationMsMax: 600_000, eventsMax: 1_000_000 },
    disk: { capacityBytes: 2 ** 30, syncLatency: { minMs: 0.2, maxMs: 3 }, otherLatency: { minMs: 0, maxMs: 0 } },
    faults: { takesLostOut: false, initialNodesMin: 3, initialNodesMax: 5, durationMs: 20_000, extraFaultsMax: 8, coreEndShare: fault === 'stuck layout' ? 1 : 0.2 },
    workload: { retriesUnknown: true, clients: 4, operationsPerClient: 30, durationMsMax: 60_000, thinkMsMax: 1400, triesMax: 6, bodies: { ...BODY_LIMITS, inlineBytesMax: INLINE_BYTES_MAX, chunkBytes: 8192, lagBytesMax: 16_384 } },
    namesMin: 4,
    namesMax: 8,
    bootMsMax: 30_000,
    restMsMax: 60_000,
    convergeMsMax: 30_000,
    runCase: null,
    versions: null, tombstonesMsMax: null,
  }).run();
}

async function firstViolation(fault: PlantedFault, seedsMax: number): Promise<string> {
  for (let seed = 1; seed <= seedsMax; seed++) {
    const { violations } = await run(seed, fault);
    if (violations[0] !== undefined) return violations[0];
  }
  return `none in ${seedsMax} seeds`;
}

describe('a run of whole nodes, tried on a stand-in', () => {
  test('finds nothing wrong with a perfect memory, and causes every fault', async () => {
    let totals = NO_TOTALS;
    for (let seed = 1; seed <= 80; seed++) {
      const result = await run(seed, 'none');
      expect({ seed, violations: result.violations }).toEqual({ seed, violations: [] });
      totals = addRun(totals, result);
    }
    // A stand-in has no frames and no files, its layout never moves, and takes nobody out.
    expect(missing(totals).filter((name) => !['repeat', 'body-rot', 'log-rot', 'log-crash', 'log-kill', 'wipe-moving', 'loss'].includes(name))).toEqual([]);
  });

  test('gives the same digest for the same seed', async () => {
    const first = await run(3, 'none');
    expect(await run(3, 'none')).toEqual(first);
    expect((await run(4, 'none')).digest).not.toBe(first.digest);
  });

  test.each([
    ['stale read', /not linearizable|holds/],
    ['lost write', /at the end|not linearizable|did not list/],
    ['timer left', /left open: 1 x timer/],
    ['wrong pointer', /shows predecessor/],
    ['two layouts', /two layouts of epoch/],
    ['mixed versions', /were read with other bytes/],
    ['stored half', /breaks off ended as stored|that nobody wrote/],
    ['unlisted name', /did not list "a\/file 1"/],
    ['listed twice', /behind|finds no end/],
    ['listed by UTF-16', /behind/],
    ['stuck layout', /the core has not gone on within 60000 ms: node:\d+ is no member/],
  ] as const)('finds a planted fault: %s', async (fault, message) => {
    expect(await firstViolation(fault, 30)).toMatch(message);
  });
});
