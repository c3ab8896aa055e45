/** `npm run k8s:render`: writes the chart's defaults, and the network policy of production, as plain manifests into k8s/. Needs Helm. */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { BASE, HELM, ROOT, render } from './chart-files.ts';

export interface Render {
  readonly file: string;
  readonly args: readonly string[];
}

export const RENDERS: readonly Render[] = [
  { file: BASE, args: ['--set', 'tests.enabled=false'] },
  { file: path.join(ROOT, 'k8s/overlays/production/networkpolicy.yaml'), args: ['--set', 'networkPolicy.enabled=true', '--set', 'tests.enabled=false', '--show-only', 'templates/networkpolicy.yaml'] },
];

if (process.argv[1] === import.meta.filename) {
  if (HELM === null) throw new Error('there is no helm or helm3 on the PATH');
  for (const { file, args } of RENDERS) {
    const rendered = render('dht', 'dht', args);
    if (rendered.kind === 'failed') throw new Error(rendered.message);
    writeFileSync(file, rendered.text);
  }
}
