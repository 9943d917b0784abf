// Draws figures without a browser: `node render.mjs` reads [{"spec": {...}, "svg": PATH, "png": PATH}]
// and writes the files that are named. PNG needs @resvg/resvg-js, which has the system's fonts.
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import vm from 'node:vm';

const require = createRequire(import.meta.url);
const beside = (name) => new URL(name, import.meta.url);

vm.runInThisContext(readFileSync(beside('vega.js'), 'utf8'), 'vega.js');
const { vega, vegaLite } = globalThis;

// A specification has its data inline; nothing it names is ever opened.
const loader = vega.loader();
loader.load = loader.sanitize = (uri) => Promise.reject(new Error(`refused: ${uri}`));

async function svg(spec) {
  const compiled = spec.$schema?.includes('/vega-lite/') ? vegaLite.compile(spec).spec : spec;
  return new vega.View(vega.parse(compiled), { renderer: 'none', loader }).toSVG();
}

for (const figure of JSON.parse(readFileSync(0, 'utf8'))) {
  const drawn = await svg(figure.spec);
  if (figure.svg) writeFileSync(figure.svg, drawn);
  if (figure.png) {
    const { Resvg } = require('@resvg/resvg-js');
    const picture = new Resvg(drawn, {
      background: 'white', fitTo: { mode: 'zoom', value: 2 }, font: { defaultFontFamily: 'DejaVu Sans' },
    });
    writeFileSync(figure.png, picture.render().asPng());
  }
}
