// The counterparts of what ruff holds in Python, and no way to write HTML from text.
import js from "@eslint/js";

export default [
  js.configs.recommended,
  {
    files: ["service/batchpool/pages/static/*.js"],
    languageOptions: { ecmaVersion: 2023, sourceType: "module" },
    rules: {
      "no-undef": "off", // tsc knows the browser's names
      "no-unused-vars": "off", // tsc too
      complexity: ["error", 15], // it counts each ?. and ?? too
      eqeqeq: "error",
      "max-len": ["error", { code: 140, ignoreComments: true }],
      "max-lines-per-function": ["error", { max: 45, skipBlankLines: true, skipComments: true }],
      "max-params": ["error", 7],
      "no-implicit-globals": "error",
      "no-var": "error",
      "prefer-const": "error",
      "no-eval": "error",
      "no-implied-eval": "error",
      "no-restricted-properties": [
        "error",
        ...["innerHTML", "outerHTML", "insertAdjacentHTML"].map((property) => ({ property, message: "use textContent or append" })),
      ],
    },
  },
];
