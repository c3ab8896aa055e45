/**
 * Agreement through the installation's Secret: which secret the nodes share, and which ring is theirs. Both entries are
 * empty when the chart renders them and are filled once, by an update that fails if somebody else was first; the loser
 * reads what the winner wrote.
 *
 * - *secret*: whoever finds it empty fills it with 32 random bytes. Nobody speaks to peers before it has the secret.
 * - *clusterId*: the founder writes it just before it founds. A recorded id forbids founding to everyone else, so that a node
 *   with a lost disk waits for its ring instead of making a second one. A node whose disk holds a ring fills an empty entry
 *   with it (a reinstall on old volumes), and refuses to start when the entry names another ring.
 *
 * Waits as long as it takes: no answer means "not yet", never "go on without".
 * Source: protocol section A.7; invariant I2.
 */
import type { Clock } from '../ports/clock.ts';
import type { ClusterInfo, ClusterRecord } from '../ports/cluster-info.ts';
import type { Log } from '../ports/log.ts';
import type { Random } from '../ports/random.ts';

export interface ClusterAgreementDeps {
  readonly info: ClusterInfo;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

/** Milliseconds before the first repeated read, and at most. */
const RETRY_MIN_MS = 250;
const RETRY_MAX_MS = 10_000;
const SECRET_BYTES = 32;

export class ClusterAgreement {
  readonly #deps: ClusterAgreementDeps;

  constructor(deps: ClusterAgreementDeps) {
    this.#deps = deps;
  }

  /** The secret of the installation, filled in by this node if it was the first. */
  async secret(): Promise<string> {
    const record = await this.#agreed('secret', () => this.#deps.random.hex(SECRET_BYTES));
    return record.secret ?? '';
  }

  /** The ring of the installation: `own` when nobody recorded one before. */
  async clusterId(own: string): Promise<string> {
    const record = await this.#agreed('clusterId', () => own);
    return record.clusterId ?? '';
  }

  async #agreed(entry: keyof ClusterRecord, fresh: () => string): Promise<ClusterRecord> {
    for (let retryMs = RETRY_MIN_MS; ; retryMs = Math.min(RETRY_MAX_MS, retryMs * 2)) {
      const found = await this.#deps.info.record();
      if (found.kind === 'record') {
        if (found.record[entry] !== null) return found.record;
        const value = fresh();
        const filled = await this.#deps.info.fill({ [entry]: value }, found.version);
        if (filled.kind === 'filled') {
          this.#deps.log.info('Filled an entry of the installation\'s Secret', { entry });
          return { ...found.record, [entry]: value };
        }
        if (filled.kind === 'conflict') continue;
        this.#deps.log.warn('The installation\'s Secret can not be written', { entry, detail: filled.detail });
      } else {
        this.#deps.log.warn('The installation\'s Secret can not be read', { entry, detail: found.detail });
      }
      await this.#pause(retryMs * (0.5 + this.#deps.random.float() / 2));
    }
  }

  #pause(delayMs: number): Promise<void> {
    return new Promise((resolve) => { this.#deps.clock.after(delayMs, resolve); });
  }
}
