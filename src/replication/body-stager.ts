/**
 * Body stager: brings large bodies of client requests to their replicas, a bounded number at a time. All of them share one
 * budget of bytes in memory: the more there are, the less each may be ahead of its slowest replica.
 */
import type { BodyId } from '../domain/ids.ts';
import type { PutStreamRequest } from '../domain/object-operation.ts';
import { hasher } from '../ring/hasher.ts';
import { replicaSets } from '../ring/placement.ts';
import { BodyFanOut, type FanOutEnd, type Refusal } from './body-fan-out.ts';
import type { OperationContext } from './operation-context.ts';

export interface BodyStagerOptions {
  /** Large bodies on their way to the replicas at the same time; more are refused with DHT_ERR_OVERLOADED. */
  readonly fanOutsMax: number;
  /** Bytes that all of them together may be ahead of their slowest replicas: many at once get less than `lagBytesMax` each. */
  readonly fanOutBytesMax: number;
  /** Milliseconds of failures without progress after which a replica is cut. */
  readonly senderGiveUpMs: number;
  /** Milliseconds between two attempts to go on with a replica. */
  readonly senderRetryMs: number;
}

export class BodyStager {
  readonly #context: OperationContext;
  readonly #options: BodyStagerOptions;
  #inWork = 0;

  constructor(context: OperationContext, options: BodyStagerOptions) {
    this.#context = context;
    this.#options = options;
  }

  /** Stages the body on a quorum of the name's replicas, or says why not. */
  async stage(request: PutStreamRequest): Promise<FanOutEnd> {
    const { name, source } = request;
    const { views, caller, large, random, options: { bodies } } = this.#context;
    const { fanOutsMax, fanOutBytesMax, senderGiveUpMs, senderRetryMs } = this.#options;
    const view = views.current();
    if (view === null) return { kind: 'refused', code: 'DHT_ERR_NOT_READY', detail: 'this node is in no ring yet' };
    if (this.#inWork >= fanOutsMax) return { kind: 'refused', code: 'DHT_ERR_OVERLOADED', detail: 'too many large bodies on their way' };
    this.#inWork++;
    const lagBytes = Math.max(2 * bodies.chunkBytes, Math.min(bodies.lagBytesMax, Math.floor(fanOutBytesMax / this.#inWork)));
    const fanOut = new BodyFanOut({ caller, pauses: large.pauses }, {
      chunkBytes: bodies.chunkBytes, lagBytes, windowBytes: Math.max(bodies.chunkBytes, lagBytes / 2),
      callTimeoutMs: bodies.progressMs, giveUpMs: senderGiveUpMs, retryMs: senderRetryMs,
    }, view, replicaSets(view.layout, hasher(name, view.layout.keyBits)), name, random.hex(16) as BodyId);
    const end = await fanOut.run(source, (size) => refusalOf(request, size));
    this.#inWork--;
    return end;
  }
}

/** Asked once the whole body is known, before anything is committed; null: go on. */
export function refusalOf({ expectedSize, verify }: PutStreamRequest, size: number): Refusal | null {
  if (expectedSize === null || expectedSize === size) return verify();
  return { code: 'DHT_ERR_REQUEST_INVALID', detail: `the body has ${size} bytes, ${expectedSize} were announced` };
}
