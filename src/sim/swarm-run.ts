/**
 * The size of a swarm's runs: small enough that hundreds of seeds run within two minutes, large enough that each has
 * several names, sizes of body, a crash and a change of the layout. A node's own sizes are small too, so that segments,
 * pages and chunks turn over in a short run. On one seed of four a staged body expires so soon that it may be gone when its
 * record is accepted.
 */
import type { BodyLimits } from '../domain/body-limits.ts';
import { STAGING_TTL_MS } from '../domain/limits.ts';
import { ALL_RULES, type Rules } from '../domain/rules.ts';
import type { RunCase } from './run-case.ts';
import { rulesOf } from './run-case.ts';
import { NODE_TUNING } from '../node/node-tuning.ts';
import type { SpaceTuning } from '../storage/space-guard.ts';
import { dhtProgram } from './dht-program.ts';
import { MixedVersions } from './mixed-versions.ts';
import { SimRandom, pick } from './sim-random.ts';
import { WholeNodeRun } from './whole-node-run.ts';

/** A body of a few kilobytes is large here, and a replica is cut when it is two chunks behind. */
const SIM_BODIES: BodyLimits = { inlineBytesMax: 8192, chunkBytes: 16_384, lagBytesMax: 49_152, progressMs: 5_000, lingerMs: 1_000, stagingTtlMs: STAGING_TTL_MS };
/** Virtual milliseconds: less than PREPARE and ACCEPT take when the network is at its worst. */
const SHORT_STAGING_TTL_MS = 400;

/** Virtual milliseconds that a member is down until it is taken out: on half of the seeds it happens within a run. */
const OUT_AFTER_SHORT_MS = 5_000;
const OUT_AFTER_MS: readonly number[] = [500, OUT_AFTER_SHORT_MS, 600_000, 600_000];
/** Virtual milliseconds that a tombstone is kept: hardly, for a while, or beyond the end of the run. */
const TOMBSTONE_AGES_MS = [100, 3_000, NODE_TUNING.erasure.ageMs];
const QUICK_ERASURE = { settledMs: 100, turnMs: 500, passMs: 250, stepMs: 5, looksPerStep: 3 };

/** A ballast of a few blocks. */
const SIM_SPACE: SpaceTuning = { sampleMs: 500, ballastBytes: 4096, ballastPieceBytes: 1024, ballastPauseMs: 20, ballastDelayMs: 1_000, retryMs: 200 };

export interface SwarmRunOptions {
  readonly seed: number;
  /** Readable lines of the transcript kept. */
  readonly linesMax: number;
  readonly rules: Rules;
}

/** What a seed's run is, spelled out. */
export function caseOf(seed: number, dropped: RunCase['dropped']): RunCase {
  return { seed, salt: 0, operations: null, dropped, plan: swarmRun({ seed, linesMax: 0, rules: ALL_RULES }).plan };
}

/** The run of a case that was spelled out. */
export function caseRun(runCase: RunCase, linesMax: number): WholeNodeRun {
  return shapedRun({ seed: runCase.seed, linesMax, rules: rulesOf(runCase) }, runCase);
}

export function swarmRun(options: SwarmRunOptions): WholeNodeRun {
  return shapedRun(options, null);
}

function shapedRun({ seed, linesMax, rules }: SwarmRunOptions, runCase: RunCase | null): WholeNodeRun {
  const random = new SimRandom(`seed ${seed}`).fork('shape of the ring');
  const tokensPerNode = pick(random, [1, 2, 4]);
  const bodies: BodyLimits = { ...SIM_BODIES, stagingTtlMs: pick(random, [STAGING_TTL_MS, STAGING_TTL_MS, STAGING_TTL_MS, SHORT_STAGING_TTL_MS]) };
  const outAfterMs = pick(random, OUT_AFTER_MS);
  const keyBits = pick(random, [16, 48]);
  const tombstoneAgeMs = pick(random, TOMBSTONE_AGES_MS);
  const versions = new MixedVersions(new SimRandom(`seed ${seed}`).fork('versions'));
  const program = dhtProgram({
    ring: { keyBits, replicas: 3, tokensPerNode, candidatesPerToken: tokensPerNode === 1 ? 1 : 2 },
    tuning: {
      ...NODE_TUNING,
      bodies,
      store: {
        segmentBytes: 2 ** 13, recordCacheBytes: 2 ** 12, bodyCacheBytes: 2 ** 18, stagedBodiesMax: 1000,
        upkeep: { checkpointBytes: 2 ** 14, liveShareMin: 0.5, bytesPerSecond: 2 ** 24 }, space: SIM_SPACE,
      },
      pageEntriesMax: 3,
      recordKeysMax: 2,
      listing: { entriesMax: 3, looksMax: 5 },
      antiEntropy: { intervalMs: 5_000, retryMs: 500, retryMaxMs: 5_000 },
      keyRepair: { ...NODE_TUNING.keyRepair, delayMaxMs: 5_000, scanEntries: 3 },
      hints: { entriesMax: 8, ageMaxMs: 20_000, lookMs: 500 },
      erasure: { ...NODE_TUNING.erasure, ...QUICK_ERASURE, ageMs: tombstoneAgeMs },
    },
    outAfterMs,
    versionsOf: (_name, own) => versions.versionsOf(own),
    rules,
  });
  return new WholeNodeRun(program, {
    simulation: { seed, linesMax, durationMsMax: 600_000, eventsMax: 3_000_000 },
    disk: { capacityBytes: 2 ** 30, syncLatency: { minMs: 0.2, maxMs: 3 }, otherLatency: { minMs: 0, maxMs: 0 } },
    faults: { takesLostOut: outAfterMs <= OUT_AFTER_SHORT_MS, initialNodesMin: 1, initialNodesMax: 5, durationMs: 20_000, extraFaultsMax: 14, coreEndShare: 0.3 },
    workload: { retriesUnknown: tombstoneAgeMs > 600_000, clients: 5, operationsPerClient: 40, durationMsMax: 60_000, thinkMsMax: 1000, triesMax: 6, bodies },
    namesMin: 4,
    namesMax: 8,
    bootMsMax: 30_000,
    restMsMax: 90_000,
    convergeMsMax: 90_000,
    runCase,
    versions,
    tombstonesMsMax: tombstoneAgeMs <= 3_000 ? 30_000 : null,
  });
}
