/** The only door to chance. One forked stream a component, so that an extra draw in one doesn't shift another's. */
export interface Random {
  /** Uniform in [0, 1). */
  float(): number;
  /** Uniform integer in [0, bound). */
  below(bound: number): number;
  /** `byteCount` random bytes as lower-case hex. Unpredictable in production. */
  hex(byteCount: number): string;
  /** A stream of its own that depends on this one's seed and the label alone. */
  fork(label: string): Random;
}
