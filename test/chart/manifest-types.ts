/**
 * Holds a manifest against the models of the Kubernetes client: fields that no model knows and scalars of a wrong type are
 * what an API server would refuse (or, worse, drop silently). No cluster and no schema download is needed.
 */
import * as models from '@kubernetes/client-node';
import type { Manifest } from './chart-files.ts';

interface Attribute {
  readonly name: string;
  readonly baseName: string;
  readonly type: string;
}

interface Model {
  getAttributeTypeMap(): readonly Attribute[];
}

const MODELS = models as unknown as Readonly<Record<string, Model | undefined>>;
/** Where a number may stand for a text, or the other way round. */
const SCALARS: Readonly<Record<string, readonly string[]>> = { string: ['string'], number: ['number'], boolean: ['boolean'], IntOrString: ['string', 'number'], Date: ['string'] };

/** What is wrong, a line each; a kind without a model (a custom resource) can't be checked and gives nothing. */
export function typeErrors(manifest: Manifest): readonly string[] {
  const version = manifest.apiVersion.split('/').at(-1) ?? '';
  const model = MODELS[`${version[0]?.toUpperCase() ?? ''}${version.slice(1)}${manifest.kind}`];
  return model === undefined ? [] : errorsOf(manifest, model, manifest.kind);
}

function errorsOf(value: unknown, model: Model, at: string): readonly string[] {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return [`${at}: no object`];
  const attributes = new Map(model.getAttributeTypeMap().map((attribute) => [attribute.baseName, attribute]));
  return Object.entries(value).flatMap(([key, field]) => {
    const attribute = attributes.get(key);
    return attribute === undefined ? [`${at}.${key}: no such field`] : fieldErrors(field, attribute.type, `${at}.${key}`);
  });
}

function fieldErrors(value: unknown, type: string, at: string): readonly string[] {
  if (value === null) return [`${at}: null`];
  const item = /^Array<(.*)>$/.exec(type)?.[1];
  if (item !== undefined) return Array.isArray(value) ? value.flatMap((entry, i) => fieldErrors(entry, item, `${at}[${i}]`)) : [`${at}: no list`];
  const entry = /^\{ \[key: string\]: (.*); \}$/.exec(type)?.[1];
  if (entry !== undefined) return typeof value === 'object' ? Object.entries(value).flatMap(([key, field]) => fieldErrors(field, entry, `${at}.${key}`)) : [`${at}: no map`];
  const scalars = SCALARS[type];
  if (scalars !== undefined) return scalars.includes(typeof value) ? [] : [`${at}: ${JSON.stringify(value)} is no ${type}`];
  const model = MODELS[type];
  return model === undefined ? [] : errorsOf(value, model, at);
}
