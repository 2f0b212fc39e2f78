"""What every refusal looks like."""


def four_lines(error):
    lines = str(error.value).splitlines()
    assert [line.split(":")[0].strip() for line in lines] == ["error", "given", "expected", "way out"]
    return str(error.value)
