/**
 * The number by which gossip orders what is said of a node: boot * 2^20 + refutations.
 *
 * The boot is persisted and grows with each process life, so a new life outranks all that was said of the old one.
 * The lower 20 bits count refutations within one life and are volatile: losing them at a crash is harmless, because
 * the next boot is above all of them. 2^33 boots fit a safe integer.
 * Source: [SWIM] "Suspicion Mechanism: Reducing the Frequency of False Positives".
 */
const REFUTATIONS_PER_BOOT = 2 ** 20;

/**
 * Where a life begins to count: a random part keeps two processes apart that run with the same identity and boot, from copies
 * of one disk. Only a node itself raises its incarnation, so one that hears of a higher one of its own isn't alone.
 */
const RANDOM_RANGE = 2 ** 16;

/** The first incarnation of a boot; `draw`: a random number from 0 to below 1. */
export function firstIncarnation(boot: number, draw: number): number {
  return boot * REFUTATIONS_PER_BOOT + Math.floor(draw * RANDOM_RANGE);
}

/** The boot that an incarnation belongs to. */
export function bootOfIncarnation(incarnation: number): number {
  return Math.floor(incarnation / REFUTATIONS_PER_BOOT);
}
