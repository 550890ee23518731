"""The checks of `meshctl check`, one module per category. Each reads the API and yields findings; none changes anything."""
