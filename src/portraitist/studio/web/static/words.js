// What scripts say, in the language of the page: English is the source, the others come with the page (meta "words").
// `_("Waiting")`, and with values: `_("%(n)s chosen", { n: 3 })`.

const told = document.querySelector("meta[name=words]")?.content;
const words = told ? JSON.parse(told) : {};

export function _(text, values = {}) {
  return (words[text] ?? text).replace(/%\((\w+)\)s/g, (place, name) => values[name] ?? place);
}
