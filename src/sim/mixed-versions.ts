/**
 * An upgrade that goes on during a run: on a share of the seeds each process, whenever it starts, is of the build before or of
 * today's, so that nodes are upgraded one by one, set back, and upgraded again. Builds differ by the versions of the peer protocol
 * that they speak. In the end all are of today's, for what only those do has to be done then.
 *
 * Drawn from streams of its own: a seed has the same faults with it as without.
 * Source: protocol section H.2 "Faults".
 */
import { PROTOCOL_VERSIONS, type VersionSpan } from '../domain/protocol-versions.ts';
import type { Random } from '../ports/random.ts';
import { chance } from './sim-random.ts';

const SEEDS_SHARE = 0.3;
const OLD_SHARE = 0.5;
const BEFORE: VersionSpan = { min: 1, max: PROTOCOL_VERSIONS.max - 1 };

export class MixedVersions {
  readonly isMixed: boolean;
  #isOver = false;

  constructor(random: Random) {
    this.isMixed = chance(random, SEEDS_SHARE);
  }

  /** What a process that starts now speaks; `random` is its own. */
  versionsOf(random: Random): VersionSpan {
    return this.isMixed && !this.#isOver && chance(random.fork('versions'), OLD_SHARE) ? BEFORE : PROTOCOL_VERSIONS;
  }

  /** From here on whatever starts is of today's build. */
  end(): void {
    this.#isOver = true;
  }
}
