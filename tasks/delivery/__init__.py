"""The integration layer: CMS, Slack."""
