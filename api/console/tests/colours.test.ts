// Recomputes contrasts and distances of the tokens that are served. Colour-blind eyes as Machado, Oliveira and
// Fernandes (2009) model them at full severity; distances in OKLab, times 100.
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";

type Rgb = readonly [number, number, number];
type Tokens = Record<string, Record<"light" | "dark", string>>;

const SCHEMES = ["light", "dark"] as const;
const FAMILIES = ["idle", "moving", "blocked", "good", "bad"];
const GROUNDS = ["page", "card", "raised"];
const TEXTS = ["ink", "dim", "link", ...FAMILIES];
const LEAST_CONTRAST = 4.5;
const LEAST_DISTANCE = { light: 7.7, dark: 12.9 };

const EYES: Record<string, readonly Rgb[]> = {
  normal: [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
  protan: [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
  deutan: [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
  tritan: [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]],
};

function tokens(): Tokens {
  const css = readFileSync(new URL("../styles/tokens.css", import.meta.url), "utf8");
  const found: Tokens = {};
  for (const [, name, light, dark] of css.matchAll(/--([\w-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\)/g))
    found[name!] = { light: light!, dark: dark! };
  return found;
}

function linear(hex: string): Rgb {
  const parts = [1, 3, 5].map((at) => Number.parseInt(hex.slice(at, at + 2), 16) / 255);
  const [r, g, b] = parts.map((one) => (one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4));
  return [r!, g!, b!];
}

function times(matrix: readonly Rgb[], [x, y, z]: Rgb): Rgb {
  const [r, g, b] = matrix.map(([a, c, d]) => a * x + c * y + d * z);
  return [r!, g!, b!];
}

function seen(hex: string, eye: string): Rgb {
  const [r, g, b] = times(EYES[eye]!, linear(hex)).map((one) => Math.min(1, Math.max(0, one)));
  return [r!, g!, b!];
}

function oklab(rgb: Rgb): Rgb {
  const lms = times(
    [[0.4122214708, 0.5363325363, 0.0514459929], [0.2119034982, 0.6806995451, 0.1073969566], [0.0883024619, 0.2817188376, 0.6299787005]],
    rgb,
  ).map(Math.cbrt);
  return times(
    [[0.2104542553, 0.793617785, -0.0040720468], [1.9779984951, -2.428592205, 0.4505937099], [0.0259040371, 0.7827717662, -0.808675766]],
    lms as unknown as Rgb,
  );
}

function distance(one: string, other: string, eye: string): number {
  const [a, b] = [oklab(seen(one, eye)), oklab(seen(other, eye))];
  return 100 * Math.hypot(...a.map((value, index) => value - b[index]!));
}

function contrast(one: string, other: string): number {
  const [a, b] = [one, other].map((hex) => {
    const [r, g, blue] = linear(hex);
    return 0.2126 * r + 0.7152 * g + 0.0722 * blue;
  });
  return (Math.max(a!, b!) + 0.05) / (Math.min(a!, b!) + 0.05);
}

const found = tokens();
const pairs = FAMILIES.flatMap((one, index) => FAMILIES.slice(index + 1).map((other) => [one, other] as const));

function smallest(scheme: "light" | "dark"): number {
  const all = Object.keys(EYES).flatMap((eye) =>
    pairs.map(([one, other]) => distance(found[one]![scheme], found[other]![scheme], eye)),
  );
  return Math.min(...all);
}

describe.each(SCHEMES)("%s", (scheme) => {
  it.each(GROUNDS.flatMap((ground) => TEXTS.map((text) => [text, ground])))("%s can be read on %s", (text, ground) => {
    expect(contrast(found[text!]![scheme], found[ground!]![scheme])).toBeGreaterThanOrEqual(LEAST_CONTRAST);
  });

  it.each([0, 1, 2, 3, 4, 5, 6, 7])("colour %i of a terminal can be read", (colour) => {
    expect(contrast(found[`ansi-${colour}`]![scheme], found["page"]![scheme])).toBeGreaterThanOrEqual(LEAST_CONTRAST);
  });

  it("a button can be read, and the past's words on their ground", () => {
    expect(contrast(found["on-primary"]![scheme], found["primary"]![scheme])).toBeGreaterThanOrEqual(LEAST_CONTRAST);
    expect(contrast(found["past"]![scheme], found["past-ground"]![scheme])).toBeGreaterThanOrEqual(LEAST_CONTRAST);
  });

  it("edges of controls and the focus stand out", () => {
    for (const ground of GROUNDS)
      for (const edge of ["line-strong", "focus"])
        expect(contrast(found[edge]![scheme], found[ground]![scheme])).toBeGreaterThanOrEqual(3);
  });

  it("families differ for every eye", () => {
    expect(Number(smallest(scheme).toFixed(1))).toBeGreaterThanOrEqual(LEAST_DISTANCE[scheme]);
  });
});

it("notices families that differ by hue alone", () => {
  expect(distance("#2e8b57", "#b5651d", "normal")).toBeGreaterThan(12);
  expect(distance("#2e8b57", "#b5651d", "deutan")).toBeLessThan(distance("#2e8b57", "#b5651d", "normal") / 2);
});

it("notices a token of 3:1", () => {
  expect(contrast("#949494", "#ffffff")).toBeGreaterThan(3);
  expect(contrast("#949494", "#ffffff")).toBeLessThan(LEAST_CONTRAST);
});
