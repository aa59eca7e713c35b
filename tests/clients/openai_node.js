// openai-node in a page of another origin than the API's: each case throws where it fails.
async ({ server, scripted, key, model }) => {
  const { default: OpenAI } = await import("/package/index.mjs");
  const client = (url) =>
    new OpenAI({ baseURL: `${url}/v1`, apiKey: key, maxRetries: 0, dangerouslyAllowBrowser: true });
  const check = (found, wanted) => {
    if (JSON.stringify(found) !== JSON.stringify(wanted))
      throw new Error(`${JSON.stringify(found)} is not ${JSON.stringify(wanted)}`);
  };
  const messages = (text) => [{ role: "user", content: text }];
  const schema = {
    type: "object",
    properties: { age: { type: "integer" } },
    required: ["age"],
    additionalProperties: false,
  };
  const call = '<tool_call>\n{"name": "weather", "arguments": {"city": "Oslo"}}\n</tool_call>';
  const tools = [
    {
      type: "function",
      function: {
        name: "weather",
        description: "The weather of a city.",
        parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
      },
    },
  ];
  const chat = client(scripted).chat.completions;

  const whole = await chat.create({ model, messages: messages("«Hello.»") });
  check(whole.choices[0].message.content, "Hello.");

  let text = "";
  for await (const chunk of await chat.create({ model, messages: messages("«Hello.»"), stream: true }))
    text += chunk.choices[0]?.delta?.content ?? "";
  check(text, "Hello.");

  const typed = await client(server).chat.completions.parse({
    model,
    messages: messages("Who?"),
    response_format: { type: "json_schema", json_schema: { name: "person", strict: true, schema } },
  });
  check(Number.isInteger(typed.choices[0].message.parsed.age), true);

  const cities = [];
  const runner = chat.runTools({
    model,
    messages: messages(`How is the weather? «${call}»`),
    tools: [
      {
        type: "function",
        function: {
          ...tools[0].function,
          parse: JSON.parse,
          function: ({ city }) => (cities.push(city), "rain"),
        },
      },
    ],
  });
  check(await runner.finalContent(), "It is rain.");
  check(cities, ["Oslo"]);

  const embedded = await client(server).embeddings.create({ model, input: ["one", "two"] });
  check(embedded.data.map((entry) => entry.index), [0, 1]);
  check(embedded.data[0].embedding.length, embedded.data[1].embedding.length);

  const response = await client(scripted).responses.create({ model, input: "«Hello.»" });
  check(response.output_text, "Hello.");

  const models = [];
  for await (const entry of client(server).models.list()) models.push(entry.id);
  check(models, [model]);

  try {
    await client(server).chat.completions.create({ model, messages: messages("x"), temperature: 3 });
  } catch (error) {
    check([error.constructor.name, error.status, error.param], ["BadRequestError", 400, "temperature"]);
    return;
  }
  throw new Error("a temperature of 3 passed");
};
